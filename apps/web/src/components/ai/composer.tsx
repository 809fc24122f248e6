import ArrowUpOutlined from '@ant-design/icons/es/icons/ArrowUpOutlined';
import { Sender } from '@ant-design/x';
import type { SenderRef } from '@ant-design/x/es/sender';
import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

interface ComposerProps {
  running: boolean;
  disabled: boolean;
  /** Stands at the left of the send button. */
  tools: ReactNode;
  /** Changes when the field should take the focus, for instance with the conversation. */
  focusKey: string | null;
  onSend: (text: string) => void;
  onStop: () => void;
  /** The reader has begun to write: a good moment to fetch what the answer will need. */
  onWrite: () => void;
}

function SendOrStop({ running, ready, onSend, onStop }: { running: boolean; ready: boolean; onSend: () => void; onStop: () => void }) {
  const { t } = useTranslation('chat');
  if (running) {
    return (
      <button type="button" className="send send-stop" aria-label={t('composer.stop')} title={t('composer.stop')} onClick={onStop}>
        <span className="send-square" aria-hidden="true" />
      </button>
    );
  }
  return (
    <button type="button" className="send" aria-label={t('composer.send')} title={t('composer.send')} disabled={!ready} onClick={onSend}>
      <ArrowUpOutlined aria-hidden="true" />
    </button>
  );
}

const narrow = () => window.matchMedia('(max-width: 820px)').matches;

export function Composer({ running, disabled, tools, focusKey, onSend, onStop, onWrite }: ComposerProps) {
  const { t } = useTranslation('chat');
  const [text, setText] = useState('');
  const sender = useRef<SenderRef>(null);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // On a phone the focus would open the keyboard over the page.
    if (!narrow()) sender.current?.focus({ cursor: 'end' });
  }, [focusKey]);
  const label = t('composer.label');
  useEffect(() => {
    box.current?.querySelector('textarea')?.setAttribute('aria-label', label);
  }, [label]);
  const ready = !disabled && text.trim() !== '';
  const write = (value: string) => {
    if (text === '' && value !== '') onWrite();
    setText(value);
  };
  const submit = () => {
    if (!ready || running) return;
    setText('');
    onSend(text);
  };
  // Sender's own submit stays off unless its own send button is on the page. `isComposing`: Enter picks a Chinese word.
  const onKeyDown = (event: KeyboardEvent): false | void => {
    const { key, shiftKey, ctrlKey, altKey, metaKey, nativeEvent } = event;
    if (key !== 'Enter' || shiftKey || ctrlKey || altKey || metaKey || nativeEvent.isComposing) return undefined;
    event.preventDefault();
    submit();
    return false;
  };
  return (
    <div className="composer" ref={box}>
      <Sender
        ref={sender}
        value={text}
        onChange={write}
        onKeyDown={onKeyDown}
        placeholder={t('composer.placeholder')}
        autoSize={{ minRows: 1, maxRows: 8 }}
        suffix={false}
        footer={
          <div className="composer-foot">
            {tools}
            <SendOrStop running={running} ready={ready} onSend={submit} onStop={onStop} />
          </div>
        }
      />
    </div>
  );
}
