// Research texts write formulas as \(…\), \[…\], $$…$$ and $…$; prices are written with a single $ too.
// Everything that is a formula becomes $$…$$ before parsing, so the parser never sees a single dollar as math.

const CODE = /(^ {0,3}(?:`{3,}|~{3,})[^\n]*\n[\s\S]*?(?:^ {0,3}(?:`{3,}|~{3,})[ \t]*$|(?![\s\S]))|(`+)(?!`)[\s\S]*?(?<!`)\2(?!`))/gm;
const DISPLAY = /\\\[([\s\S]+?)\\\]/g;
const INLINE = /\\\(([\s\S]+?)\\\)/g;
/** Pandoc's rule: no space inside the dollars, no digit after the closing one. */
const SINGLE = /(?<![\\$])\$(?![\s$])((?:\\.|[^$\\\n])*?[^\s\\$])\$(?![\d$])/g;

function rewrite(text: string): string {
  return text
    .replace(DISPLAY, (_all, formula: string) => `\n$$\n${formula.trim()}\n$$\n`)
    .replace(INLINE, (_all, formula: string) => `$$${formula.trim()}$$`)
    .replace(SINGLE, (_all, formula: string) => `$$${formula}$$`);
}

export function normalizeMath(text: string): string {
  if (!/[$\\]/.test(text)) return text;
  let result = '';
  let from = 0;
  for (const match of text.matchAll(CODE)) {
    result += rewrite(text.slice(from, match.index)) + match[0];
    from = match.index + match[0].length;
  }
  return result + rewrite(text.slice(from));
}

export const hasMath = (normalized: string): boolean => normalized.includes('$$');
