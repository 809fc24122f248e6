import { isValidElement, type ReactElement, type ReactNode } from 'react';
import type { Components } from 'react-markdown';
import { CodeBlock } from './code-block';
import { useLabels } from './labels';

/** The only pictures that load are the platform's own files: a remote picture would tell a stranger who reads what. */
const OWN_FILE = /^\/api\/files\/[\w\-./%]+$/;

function textOf(node: ReactNode): string {
  if (typeof node === 'string' || typeof node === 'number') return String(node);
  if (Array.isArray(node)) return node.map(textOf).join('');
  if (isValidElement(node)) return textOf((node as ReactElement<{ children?: ReactNode }>).props.children);
  return '';
}

function Picture({ src, alt }: { src?: string | undefined; alt?: string | undefined }) {
  const labels = useLabels();
  if (src && OWN_FILE.test(src) && !src.includes('..')) return <img src={src} alt={alt ?? ''} loading="lazy" />;
  return (
    <span className="rt-blocked" title={labels.imageBlocked}>
      {alt ? `${labels.imageBlocked}: ${alt}` : labels.imageBlocked}
    </span>
  );
}

function Pre({ children }: { children?: ReactNode }) {
  if (!isValidElement(children)) return <pre>{children}</pre>;
  const { className = '', children: code } = (children as ReactElement<{ className?: string; children?: ReactNode }>).props;
  const language = /language-([\w+#-]+)/.exec(className)?.[1] ?? '';
  return <CodeBlock code={textOf(code).replace(/\n$/, '')} language={language} />;
}

function Table({ children }: { children?: ReactNode }) {
  const labels = useLabels();
  return (
    <div className="rt-table" role="group" aria-label={labels.table} tabIndex={0}>
      <table>{children}</table>
    </div>
  );
}

export const elements: Components = {
  a: ({ href, children, id, className }) => {
    const local = href?.startsWith('#');
    if (!href) return <span>{children}</span>;
    return local ? (
      <a href={href} id={id} className={className}>{children}</a>
    ) : (
      <a href={href} target="_blank" rel="noopener noreferrer">{children}</a>
    );
  },
  img: ({ src, alt }) => <Picture src={typeof src === 'string' ? src : undefined} alt={alt} />,
  pre: ({ children }) => <Pre>{children}</Pre>,
  table: ({ children }) => <Table>{children}</Table>,
};
