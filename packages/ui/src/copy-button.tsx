import { useEffect, useState, type ReactNode } from 'react';

interface CopyButtonProps {
  text: string;
  label: string;
  doneLabel: string;
  icon: ReactNode;
  doneIcon: ReactNode;
  className?: string;
}

const SHOWN_MS = 1600;

/** Copies a text and says so for a moment, to the eye and to a screen reader. */
export function CopyButton({ text, label, doneLabel, icon, doneIcon, className = 'ds-icon-button' }: CopyButtonProps) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return undefined;
    const timer = setTimeout(() => setDone(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = () => void navigator.clipboard?.writeText(text).then(() => setDone(true));
  return (
    <button type="button" className={className} onClick={copy} aria-label={done ? doneLabel : label} title={done ? doneLabel : label}>
      {done ? doneIcon : icon}
    </button>
  );
}
