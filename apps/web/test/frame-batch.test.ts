import { frameBatch } from '../src/lib/frame-batch';

describe('frameBatch', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['requestAnimationFrame', 'cancelAnimationFrame', 'setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it('hands over many pieces once per frame', () => {
    const seen: string[] = [];
    const batch = frameBatch((text) => seen.push(text));
    for (const piece of 'abcdef') batch.push(piece);
    expect(seen).toEqual([]);
    vi.advanceTimersByTime(20);
    expect(seen).toEqual(['abcdef']);
    batch.push('g');
    vi.advanceTimersByTime(20);
    expect(seen).toEqual(['abcdef', 'g']);
  });

  it('goes on when no frames come, as in a hidden tab', () => {
    vi.stubGlobal('requestAnimationFrame', () => 1);
    const seen: string[] = [];
    frameBatch((text) => seen.push(text)).push('x');
    vi.advanceTimersByTime(300);
    expect(seen).toEqual(['x']);
  });

  it('hands over the rest at once, and nothing twice', () => {
    const seen: string[] = [];
    const batch = frameBatch((text) => seen.push(text));
    batch.push('rest');
    batch.flush();
    vi.advanceTimersByTime(500);
    expect(seen).toEqual(['rest']);
  });
});
