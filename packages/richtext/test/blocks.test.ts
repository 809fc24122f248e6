import { normalizeMath, splitBlocks } from '../src';

const TEXT = `# Title

First paragraph
goes on.

\`\`\`python
a = 1

b = 2
\`\`\`

$$
x = 1

y = 2
$$

- one

  still one
- two

last`;

describe('splitBlocks', () => {
  it('gives back the text when the blocks are joined, at every length', () => {
    for (let end = 0; end <= TEXT.length; end += 1) expect(splitBlocks(TEXT.slice(0, end)).join('')).toBe(TEXT.slice(0, end));
  });

  it('cuts at blank lines but not inside fences, formulas and list items', () => {
    const blocks = splitBlocks(TEXT).map((block) => block.trim());
    expect(blocks).toHaveLength(6);
    expect(blocks[2]).toContain('b = 2');
    expect(blocks[3]).toContain('y = 2');
    expect(blocks[4]).toContain('still one');
  });

  it('leaves earlier blocks untouched while the text grows', () => {
    let before: string[] = [];
    for (let end = 1; end <= TEXT.length; end += 1) {
      const now = splitBlocks(TEXT.slice(0, end));
      const settled = before.slice(0, -1);
      expect(now.slice(0, settled.length)).toEqual(settled);
      before = now;
    }
  });

  it('closes a fence only with the same mark, at least as long', () => {
    expect(splitBlocks('````\n```\n\nin\n````\n\nout')).toHaveLength(2);
    expect(splitBlocks('~~~\n```\n\nin\n~~~\n\nout')).toHaveLength(2);
  });
});

describe('normalizeMath', () => {
  it('takes the forms research texts use', () => {
    expect(normalizeMath('area \\(\\pi r^2\\).')).toBe('area $$\\pi r^2$$.');
    expect(normalizeMath('\\[ x \\]')).toContain('$$\nx\n$$');
    expect(normalizeMath('where $x_1$ is')).toBe('where $$x_1$$ is');
    expect(normalizeMath('$$a$$')).toBe('$$a$$');
  });

  it.each(['Q1 ($100K), Q2 ($115K)', '$5 and $10', 'costs $ 5 $ each', '价格为 $5 和 $10。', '\\$x$ and $y'])(
    'leaves money alone: %s',
    (text) => expect(normalizeMath(text)).toBe(text),
  );

  it('does not touch code', () => {
    const inline = 'run `echo $HOME $PATH$` now';
    expect(normalizeMath(inline)).toBe(inline);
    const fence = '```sh\nA=$x$\n```\n';
    expect(normalizeMath(`${fence}and $x$`)).toBe(`${fence}and $$x$$`);
    const open = '```sh\nA=$x$';
    expect(normalizeMath(open)).toBe(open);
  });
});
