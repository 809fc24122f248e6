const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;

interface Fence {
  mark: string;
  length: number;
}

function openFence(line: string): Fence | null {
  const match = FENCE.exec(line);
  const run = match?.[1];
  if (!run) return null;
  if (run.startsWith('`') && match[2]?.includes('`')) return null;
  return { mark: run.charAt(0), length: run.length };
}

function closesFence(line: string, fence: Fence): boolean {
  const run = FENCE.exec(line);
  return run?.[1] !== undefined && run[1].charAt(0) === fence.mark && run[1].length >= fence.length && run[2]?.trim() === '';
}

/** Counts the `$$` of a line: an odd count opens or closes a formula. */
const togglesMath = (line: string): boolean => ((line.match(/(?<!\\)\$\$/g) ?? []).length & 1) === 1;

const isContinuation = (line: string): boolean => /^(\s{2,}|\t)\S/.test(line);

/**
 * Cuts a Markdown text at blank lines that are outside code fences and `$$` formulas. Joining the blocks gives the text
 * back. While an answer streams only its last block changes, so every other block keeps its rendered form.
 */
export function splitBlocks(text: string): string[] {
  const lines = text.split('\n');
  const blocks: string[] = [];
  let current: string[] = [];
  let fence: Fence | null = null;
  let math = false;
  lines.forEach((line, index) => {
    current.push(line);
    if (fence) {
      if (closesFence(line, fence)) fence = null;
    } else if (math) {
      if (togglesMath(line)) math = false;
    } else {
      fence = openFence(line);
      if (!fence && togglesMath(line)) math = true;
    }
    const next = lines[index + 1];
    const cut = !fence && !math && line.trim() === '' && next !== undefined && next.trim() !== '' && !isContinuation(next);
    if (cut && current.some((part) => part.trim() !== '')) {
      blocks.push(`${current.join('\n')}\n`);
      current = [];
    }
  });
  if (current.length > 0) blocks.push(current.join('\n'));
  return blocks.filter((block) => block !== '');
}
