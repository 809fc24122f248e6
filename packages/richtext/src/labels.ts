import { createContext, useContext } from 'react';

/** The words of the renderer; the app hands them in, in the reader's language. */
export interface RichTextLabels {
  copy: string;
  copied: string;
  table: string;
  code: string;
  imageBlocked: string;
}

export const LabelsContext = createContext<RichTextLabels | null>(null);

export function useLabels(): RichTextLabels {
  const labels = useContext(LabelsContext);
  if (!labels) throw new Error('RichText needs labels');
  return labels;
}
