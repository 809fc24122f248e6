export interface FrameBatch {
  push(text: string): void;
  /** Hands over what is waiting, now. */
  flush(): void;
}

/** Frames do not come in a hidden tab; then this is the pace. */
const HIDDEN_MS = 250;

/** Collects pieces of text and hands them over once per animation frame. */
export function frameBatch(apply: (text: string) => void): FrameBatch {
  let waiting = '';
  let frame: number | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;

  const flush = () => {
    if (frame !== null) cancelAnimationFrame(frame);
    if (timer !== null) clearTimeout(timer);
    frame = timer = null;
    if (waiting === '') return;
    const text = waiting;
    waiting = '';
    apply(text);
  };

  return {
    push: (text) => {
      waiting += text;
      if (frame !== null) return;
      frame = requestAnimationFrame(flush);
      timer = setTimeout(flush, HIDDEN_MS);
    },
    flush,
  };
}
