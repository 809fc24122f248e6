// Loaded when the first formula appears.
import 'katex/dist/katex.min.css';
import rehypeKatex from 'rehype-katex';

export default rehypeKatex;
