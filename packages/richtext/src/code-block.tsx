import { useEffect, useState } from 'react';
import { useLabels } from './labels';

interface CodeBlockProps {
  code: string;
  language: string;
}

const SHOWN_MS = 1600;

function useHighlighted(code: string, language: string): string | null {
  const [html, setHtml] = useState<string | null>(null);
  useEffect(() => {
    if (language === '') return undefined;
    let current = true;
    void import('./highlight').then(({ highlight }) => {
      if (current) setHtml(highlight(code, language));
    });
    return () => {
      current = false;
    };
  }, [code, language]);
  return html;
}

function CopyCode({ code }: { code: string }) {
  const labels = useLabels();
  const [done, setDone] = useState(false);
  useEffect(() => {
    const timer = done ? setTimeout(() => setDone(false), SHOWN_MS) : undefined;
    return () => clearTimeout(timer);
  }, [done]);
  const copy = () => void navigator.clipboard?.writeText(code).then(() => setDone(true));
  return (
    <button type="button" className="rt-copy" onClick={copy}>
      {done ? labels.copied : labels.copy}
    </button>
  );
}

export function CodeBlock({ code, language }: CodeBlockProps) {
  const labels = useLabels();
  const html = useHighlighted(code, language);
  return (
    <div className="rt-code">
      <div className="rt-code-head">
        <span>{language === '' ? labels.code : language}</span>
        <CopyCode code={code} />
      </div>
      <pre tabIndex={0} role="group" aria-label={`${labels.code} ${language}`.trim()}>
        {/* highlight.js escapes its input; the string holds its own spans and nothing else. */}
        {html === null ? <code>{code}</code> : <code dangerouslySetInnerHTML={{ __html: html }} />}
      </pre>
    </div>
  );
}
