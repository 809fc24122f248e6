import DownOutlined from '@ant-design/icons/es/icons/DownOutlined';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { useStickToEnd } from '../../hooks/useStickToEnd';
import { MessageRow } from './message-row';

interface ThreadProps {
  messageIds: string[];
  onRegenerate: (messageId: string) => void;
}

export function Thread({ messageIds, onRegenerate }: ThreadProps) {
  const { t } = useTranslation('chat');
  const { scroller, content, away, jump } = useStickToEnd();
  const count = messageIds.length;
  useEffect(jump, [count, jump]);
  return (
    <div className="thread" ref={scroller} role="region" aria-label={t('message.thread')} tabIndex={0}>
      <div className="thread-inner" ref={content}>
        {messageIds.map((id, index) => (
          <MessageRow key={id} id={id} last={index === count - 1} onRegenerate={onRegenerate} />
        ))}
      </div>
      {away ? (
        <button type="button" className="jump" onClick={jump}>
          <DownOutlined aria-hidden="true" />
          {t('message.jump')}
        </button>
      ) : null}
    </div>
  );
}
