import { memo, useEffect, useState } from 'react';
import ReactMarkdown, { type Options } from 'react-markdown';
import remarkCjkFriendly from 'remark-cjk-friendly';
import remarkGfm from 'remark-gfm';
import remarkMath from 'remark-math';
import remend from 'remend';
import { splitBlocks } from './blocks';
import { elements } from './elements';
import { hasMath, normalizeMath } from './math';

type Plugins = NonNullable<Options['rehypePlugins']>;

const REMARK: NonNullable<Options['remarkPlugins']> = [remarkGfm, remarkCjkFriendly, [remarkMath, { singleDollarTextMath: false }]];
const NO_PLUGINS: Plugins = [];

/** The formula renderer is a chunk of its own; until it is here a formula shows as its source. */
function useMathPlugins(wanted: boolean): Plugins {
  const [plugins, setPlugins] = useState<Plugins>(NO_PLUGINS);
  useEffect(() => {
    if (!wanted) return undefined;
    let current = true;
    void import('./math-plugin').then(({ default: katex }) => {
      if (current) setPlugins([[katex, { throwOnError: false, strict: 'ignore', trust: false, maxSize: 20, maxExpand: 200 }]]);
    });
    return () => {
      current = false;
    };
  }, [wanted]);
  return plugins;
}

interface BlockProps {
  text: string;
  rehype: Plugins;
}

/** Raw HTML is never rendered: react-markdown shows it as text because no raw plugin is installed. */
const Block = memo(function Block({ text, rehype }: BlockProps) {
  return (
    <ReactMarkdown remarkPlugins={REMARK} rehypePlugins={rehype} components={elements}>
      {text}
    </ReactMarkdown>
  );
});

const StreamingBlock = memo(function StreamingBlock({ text, rehype }: BlockProps) {
  return <Block text={remend(text)} rehype={rehype} />;
});

export interface MarkdownProps {
  text: string;
  streaming: boolean;
}

/**
 * While streaming: blocks, of which only the last is parsed again. Once done: the text as a whole, so that footnotes,
 * reference links and loose lists which span blocks join up.
 */
export function Markdown({ text, streaming }: MarkdownProps) {
  const normalized = normalizeMath(text);
  const rehype = useMathPlugins(hasMath(normalized));
  if (!streaming) return <Block text={normalized} rehype={rehype} />;
  const blocks = splitBlocks(normalized);
  return blocks.map((block, index) =>
    index === blocks.length - 1 ? (
      <StreamingBlock key={index} text={block} rehype={rehype} />
    ) : (
      <Block key={index} text={block} rehype={rehype} />
    ),
  );
}
