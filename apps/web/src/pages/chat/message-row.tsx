import CheckOutlined from '@ant-design/icons/es/icons/CheckOutlined';
import CopyOutlined from '@ant-design/icons/es/icons/CopyOutlined';
import ReloadOutlined from '@ant-design/icons/es/icons/ReloadOutlined';
import { CopyButton } from '@deepspace/ui';
import { memo } from 'react';
import { useTranslation } from 'react-i18next';
import { MessageBubble } from '../../components/ai/message-bubble';
import { useErrorText } from '../../hooks/useErrorText';
import { useChatStore, type Message } from '../../stores/chat-store';
import { AnswerText } from './answer-text';
import { CostLine } from './cost-line';

interface AnswerProps {
  message: Message;
  last: boolean;
  onRegenerate: (messageId: string) => void;
}

function Failure({ message }: { message: Message }) {
  const { t } = useTranslation('chat');
  const errorText = useErrorText();
  const code = message.failure?.code ?? 'unknown';
  return (
    <div className="failure">
      <p>{errorText(code)}</p>
      {message.content !== '' ? <p className="failure-note">{t('message.interrupted')}</p> : null}
    </div>
  );
}

function AnswerActions({ message, last, onRegenerate }: AnswerProps) {
  const { t } = useTranslation(['chat', 'common']);
  return (
    <div className="answer-actions">
      {message.content !== '' ? (
        <CopyButton
          text={message.content}
          label={t('message.copy')}
          doneLabel={t('common:action.copied')}
          icon={<CopyOutlined aria-hidden="true" />}
          doneIcon={<CheckOutlined aria-hidden="true" />}
        />
      ) : null}
      {last ? (
        <button type="button" className="ds-icon-button" aria-label={t('message.retry')} title={t('message.retry')} onClick={() => onRegenerate(message.id)}>
          <ReloadOutlined aria-hidden="true" />
        </button>
      ) : null}
    </div>
  );
}

function Answer(props: AnswerProps) {
  const { t } = useTranslation('chat');
  const { message } = props;
  const live = message.status === 'waiting' || message.status === 'streaming';
  return (
    <article className="row row-answer" aria-label={message.model} aria-busy={live} data-status={message.status} data-testid="answer">
      <MessageBubble
        role="assistant"
        footer={
          live ? null : (
            <div className="answer-foot">
              <CostLine message={message} />
              <AnswerActions {...props} />
            </div>
          )
        }
      >
        <div className="answer-model">{message.model}</div>
        {message.status === 'waiting' ? <div className="waiting" aria-label={t('message.waiting')} role="img"><i /><i /><i /></div> : null}
        {message.content !== '' ? (
          <div data-testid="answer-text">
            <AnswerText text={message.content} streaming={live} />
          </div>
        ) : null}
        {message.status === 'failed' ? <Failure message={message} /> : null}
        {message.status === 'stopped' ? <span className="ds-tag">{t('message.stopped')}</span> : null}
      </MessageBubble>
    </article>
  );
}

interface MessageRowProps {
  id: string;
  last: boolean;
  onRegenerate: (messageId: string) => void;
}

/** One message. Reads its own slice of the store, so a new token renders one row and no other. */
export const MessageRow = memo(function MessageRow({ id, last, onRegenerate }: MessageRowProps) {
  const { t } = useTranslation('chat');
  const message = useChatStore((state) => state.messages[id]);
  if (!message) return null;
  if (message.role === 'assistant') return <Answer message={message} last={last} onRegenerate={onRegenerate} />;
  return (
    <article className="row row-mine" aria-label={t('message.you')}>
      <MessageBubble role="user">{message.content}</MessageBubble>
    </article>
  );
});
