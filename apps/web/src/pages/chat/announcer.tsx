import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useErrorText } from '../../hooks/useErrorText';
import { useChatStore, type MessageStatus } from '../../stores/chat-store';

const LONGEST = 1200;
const live = (status: MessageStatus | undefined) => status === 'waiting' || status === 'streaming';

/** Tells a screen reader about an answer once, when it has ended. */
export function Announcer({ lastId }: { lastId: string | undefined }) {
  const { t } = useTranslation('chat');
  const errorText = useErrorText();
  const status = useChatStore((state) => (lastId ? state.messages[lastId]?.status : undefined));
  const before = useRef<MessageStatus>(undefined);
  const [words, setWords] = useState('');
  useEffect(() => {
    const ended = live(before.current) && !live(status);
    before.current = status;
    if (live(status)) setWords('');
    const message = lastId ? useChatStore.getState().messages[lastId] : undefined;
    if (!ended || !message) return;
    const text = message.content.slice(0, LONGEST);
    if (status === 'done') setWords(t('message.announceDone', { text }));
    if (status === 'stopped') setWords(t('message.announceStopped'));
    if (status === 'failed') setWords(t('message.announceError', { text: errorText(message.failure?.code ?? 'unknown') }));
  }, [status, lastId, t, errorText]);
  return <div className="ds-visually-hidden" role="status" aria-live="polite" data-testid="announcer">{words}</div>;
}
