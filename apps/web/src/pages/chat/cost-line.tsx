import { formatDuration, formatInteger, formatMoney } from '@deepspace/i18n';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { useLocale } from '../../hooks/useLocale';
import type { Message } from '../../stores/chat-store';

function Cost({ message }: { message: Message }) {
  const { t } = useTranslation('chat');
  const locale = useLocale();
  if (message.cost !== undefined && message.currency !== undefined) {
    return (
      <span className="cost-amount" data-testid="cost" data-cost={message.cost}>
        {formatMoney(message.cost, message.currency, locale)}
      </span>
    );
  }
  if (message.settling) return <span className="cost-pending">{t('cost.pending')}</span>;
  return message.status === 'failed' ? null : <span>{t('cost.unknown')}</span>;
}

/** Under every answer: what it used, what it cost, how long it took, and the way to its trace. */
export function CostLine({ message }: { message: Message }) {
  const { t } = useTranslation('chat');
  const locale = useLocale();
  const { usage, durationMs, traceId } = message;
  return (
    <div className="cost" role="group" aria-label={t('cost.label')}>
      {usage ? (
        <span>
          {t('cost.input', { count: formatInteger(usage.inputTokens, locale) as unknown as number })}
          <span className="cost-dot" aria-hidden="true" />
          {t('cost.output', { count: formatInteger(usage.outputTokens, locale) as unknown as number })}
          <span className="cost-unit">{t('cost.tokens')}</span>
        </span>
      ) : null}
      <Cost message={message} />
      {durationMs !== undefined ? <span>{formatDuration(durationMs, locale)}</span> : null}
      {traceId ? (
        <Link to="/traces/$traceId" params={{ traceId }} className="cost-trace" aria-label={t('cost.traceLong')}>
          {t('cost.trace')}
        </Link>
      ) : null}
    </div>
  );
}
