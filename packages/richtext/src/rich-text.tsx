import { memo } from 'react';
import { LabelsContext, type RichTextLabels } from './labels';
import { Markdown, type MarkdownProps } from './markdown';
import './styles.css';

export interface RichTextProps extends MarkdownProps {
  labels: RichTextLabels;
}

/** An answer of a model as formatted text. */
export const RichText = memo(function RichText({ text, streaming, labels }: RichTextProps) {
  return (
    <LabelsContext.Provider value={labels}>
      <div className="rt">
        <Markdown text={text} streaming={streaming} />
      </div>
    </LabelsContext.Provider>
  );
});
