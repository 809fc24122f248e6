import { Bubble } from '@ant-design/x';
import type { ReactNode } from 'react';

interface MessageBubbleProps {
  role: 'user' | 'assistant';
  children: ReactNode;
  footer?: ReactNode;
}

/** The look of one message. Rows are memoised by the caller; Bubble.List re-renders the whole history per token. */
export function MessageBubble({ role, children, footer }: MessageBubbleProps) {
  const mine = role === 'user';
  return (
    <Bubble<ReactNode>
      className={`bubble bubble-${role}`}
      placement={mine ? 'end' : 'start'}
      variant={mine ? 'filled' : 'borderless'}
      content={children}
      footer={footer}
    />
  );
}
