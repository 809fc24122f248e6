import { useEffect, type RefObject } from 'react';

/** Closes a pop-up on Escape, on a press outside, and when the focus leaves it. */
export function useDismiss(ref: RefObject<HTMLElement | null>, open: boolean, close: (byKey: boolean) => void): void {
  useEffect(() => {
    if (!open) return undefined;
    const outside = (target: EventTarget | null) => target instanceof Node && !ref.current?.contains(target);
    const onPointer = (event: PointerEvent) => {
      if (outside(event.target)) close(false);
    };
    const onFocus = (event: FocusEvent) => {
      if (outside(event.target)) close(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape') close(true);
    };
    document.addEventListener('pointerdown', onPointer);
    document.addEventListener('focusin', onFocus);
    document.addEventListener('keydown', onKey);
    return () => {
      document.removeEventListener('pointerdown', onPointer);
      document.removeEventListener('focusin', onFocus);
      document.removeEventListener('keydown', onKey);
    };
  }, [ref, open, close]);
}
