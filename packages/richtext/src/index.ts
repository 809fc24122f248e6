export { splitBlocks } from './blocks';
export { type RichTextLabels } from './labels';
export { normalizeMath } from './math';
export { RichText, type RichTextProps } from './rich-text';
