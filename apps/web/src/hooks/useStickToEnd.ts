import { useCallback, useEffect, useRef, useState, type RefObject } from 'react';

const NEAR_PX = 60;

interface StickToEnd {
  scroller: RefObject<HTMLDivElement | null>;
  content: RefObject<HTMLDivElement | null>;
  away: boolean;
  jump: () => void;
}

/** Follows growing content, until the reader scrolls up; then it leaves them where they are. */
export function useStickToEnd(): StickToEnd {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const sticking = useRef(true);
  const [away, setAway] = useState(false);

  const jump = useCallback(() => {
    sticking.current = true;
    setAway(false);
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  }, []);

  useEffect(() => {
    const box = scroller.current;
    const inner = content.current;
    if (!box || !inner) return undefined;
    let lastTop = box.scrollTop;
    const onScroll = () => {
      const near = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
      // Content that grows moves the end away without a scroll; only the reader's own way up lets go.
      if (near) sticking.current = true;
      else if (box.scrollTop < lastTop) sticking.current = false;
      lastTop = box.scrollTop;
      setAway(!near && !sticking.current);
    };
    const observer = new ResizeObserver(() => {
      if (sticking.current) box.scrollTop = box.scrollHeight;
    });
    observer.observe(inner);
    box.addEventListener('scroll', onScroll, { passive: true });
    return () => {
      observer.disconnect();
      box.removeEventListener('scroll', onScroll);
    };
  }, []);

  return { scroller, content, away, jump };
}
