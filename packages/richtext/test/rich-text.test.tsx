import { cleanup, render, waitFor } from '@testing-library/react';
import { RichText } from '../src';

const LABELS = { copy: 'copy', copied: 'copied', table: 'table', code: 'code', imageBlocked: 'blocked' };

function show(text: string, streaming = false): HTMLElement {
  return render(<RichText text={text} streaming={streaming} labels={LABELS} />).container;
}

afterEach(cleanup);

describe.each([false, true])('RichText, streaming: %s', (streaming) => {
  it('shows raw HTML as text', () => {
    const box = show('before <script>alert(1)</script> <img src=x onerror=alert(1)>\n\n<style>p{}</style>\n\n<form action="/x"></form>', streaming);
    expect(box.querySelector('script, style, form, img, iframe')).toBeNull();
    expect(box.textContent).toContain('<script>alert(1)</script>');
  });

  it('drops links that run code', () => {
    const box = show('[a](javascript:alert(1)) [b](data:text/html,x) [c](https://example.org) end', streaming);
    const hrefs = [...box.querySelectorAll('a')].map((link) => link.getAttribute('href'));
    expect(hrefs).toEqual(['https://example.org']);
    expect(box.querySelector('a')?.getAttribute('rel')).toBe('noopener noreferrer');
  });

  it('loads pictures of the platform only', () => {
    const box = show('![own](/api/files/abc.png) ![spy](https://evil.example/x.png) ![up](/api/files/../auth) ![p](//evil.example/y.png) end', streaming);
    expect([...box.querySelectorAll('img')].map((img) => img.getAttribute('src'))).toEqual(['/api/files/abc.png']);
    expect(box.textContent).toContain('blocked: spy');
  });

  it('sets Chinese bold next to quotation marks', () => {
    expect(show('这是**“重点”**内容', streaming).querySelector('strong')?.textContent).toBe('“重点”');
  });

  it('does not read money as a formula', () => {
    const box = show('Q1 ($100K), Q2 ($115K)', streaming);
    expect(box.textContent).toBe('Q1 ($100K), Q2 ($115K)');
    expect(box.querySelector('.katex, .language-math')).toBeNull();
  });

  it('sets formulas', async () => {
    const box = show('so \\(a^2\\) holds', streaming);
    await waitFor(() => expect(box.querySelector('.katex')).not.toBeNull());
  });

  it('sets tables and code', () => {
    const box = show('| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nx = 1\n```\n\nend', streaming);
    expect(box.querySelectorAll('td')).toHaveLength(2);
    expect(box.querySelector('pre')?.textContent).toBe('x = 1');
  });
});

describe('the end of an answer that is still coming', () => {
  it('closes bold and code that are half open', () => {
    expect(show('this is **bol', true).querySelector('strong')?.textContent).toBe('bol');
    expect(show('```python\nx = 1', true).querySelector('pre')?.textContent).toBe('x = 1');
  });

  it('keeps the elements of finished blocks in place', () => {
    const { container, rerender } = render(<RichText text={'one\n\ntwo'} streaming labels={LABELS} />);
    const first = container.querySelector('p');
    rerender(<RichText text={'one\n\ntwo and\n\nthree'} streaming labels={LABELS} />);
    expect(container.querySelector('p')).toBe(first);
    expect(container.querySelectorAll('p')).toHaveLength(3);
  });

  it('joins footnotes once the whole text is there', () => {
    const box = show('a note[^1]\n\nmore\n\n[^1]: the note', false);
    expect(box.querySelector('.footnotes')?.textContent).toContain('the note');
  });
});
