import type { Rule } from 'eslint';

declare const noJsxText: Rule.RuleModule;
export default noJsxText;
