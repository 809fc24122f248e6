import CheckOutlined from '@ant-design/icons/es/icons/CheckOutlined';
import CopyOutlined from '@ant-design/icons/es/icons/CopyOutlined';
import LeftOutlined from '@ant-design/icons/es/icons/LeftOutlined';
import { api, toApiError, unwrap, type Trace } from '@deepspace/api-client';
import { formatDateTime, formatDuration, formatInteger, formatMoney } from '@deepspace/i18n';
import { CopyButton, EmptyState, ErrorState, Skeleton } from '@deepspace/ui';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { useErrorText } from '../../hooks/useErrorText';
import { useLocale } from '../../hooks/useLocale';
import { usePageTitle } from '../../hooks/usePageTitle';
import '../../styles/trace.css';
import { Timeline } from './timeline';
import { Attempts, Calls, Facts, Money, Usage } from './trace-sections';

const POLL_MS = 1500;
const STATE_TONE: Record<Trace['state'], string> = {
  held: 'ds-tag',
  captured: 'ds-tag ds-tag-good',
  released: 'ds-tag',
  expired: 'ds-tag ds-tag-warn',
  refused: 'ds-tag ds-tag-bad',
};

function useTrace(traceId: string) {
  return useQuery({
    queryKey: ['read_trace', traceId],
    queryFn: () => unwrap(api.GET('/api/traces/{trace_id}', { params: { path: { trace_id: traceId } } })),
    retry: (failures, error) => failures < 2 && toApiError(error).status !== 404,
    refetchInterval: (query) => (query.state.data?.state === 'held' ? POLL_MS : false),
  });
}

function Summary({ trace }: { trace: Trace }) {
  const { t } = useTranslation('trace');
  const locale = useLocale();
  const none = t('field.none');
  const { identity, usage } = trace;
  const caller = () => {
    if (!identity) return none;
    return identity.kind === 'session' ? t('field.session') : t('field.apiKey', { name: identity.api_key_name ?? '' });
  };
  const tokens = usage
    ? t('field.tokensValue', { input: formatInteger(usage.input_tokens, locale), output: formatInteger(usage.output_tokens, locale) })
    : none;
  return (
    <section className="card">
      <Facts
        rows={[
          { name: t('field.model'), value: trace.model ?? none },
          { name: t('field.cost'), value: trace.cost === null ? none : <strong>{formatMoney(trace.cost, trace.currency, locale)}</strong> },
          { name: t('field.tokens'), value: tokens },
          { name: t('field.duration'), value: trace.duration_ms === null ? none : formatDuration(trace.duration_ms, locale) },
          { name: t('field.started'), value: formatDateTime(trace.started_at, locale) },
          { name: t('field.caller'), value: caller() },
          { name: t('field.billingRef'), value: <span className="ds-mono">{trace.billing_ref_id ?? none}</span> },
        ]}
      />
    </section>
  );
}

/** What the caller was told when the call failed. */
function Failed({ error }: { error: NonNullable<Trace['error']> }) {
  const { t } = useTranslation('trace');
  const errorText = useErrorText();
  return (
    <section className="card trace-error" aria-labelledby="error-title">
      <h2 id="error-title" className="section-title">{t('error.title')}</h2>
      <p>{errorText(error.code)}</p>
      <p className="ds-mono">{`${error.status} ${error.code}: ${error.message}`}</p>
    </section>
  );
}

function TraceBody({ traceId }: { traceId: string }) {
  const { t } = useTranslation(['trace', 'common']);
  const errorText = useErrorText();
  const { data: trace, error, refetch } = useTrace(traceId);
  if (!trace && error) {
    const failure = toApiError(error);
    if (failure.status === 404) return <EmptyState title={t('notFoundTitle')} description={t('notFoundText')} />;
    return (
      <ErrorState title={errorText(failure.code)} reference={failure.traceId ? t('common:state.traceReference', { id: failure.traceId }) : undefined}>
        <button type="button" className="plain-button" onClick={() => void refetch()}>{t('common:action.retry')}</button>
      </ErrorState>
    );
  }
  if (!trace) return <Skeleton label={t('common:state.loading')} lines={[60, 90, 80, 45, 95, 70]} />;
  return (
    <div className="trace-body" data-testid="trace">
      <p className="trace-state"><span className={STATE_TONE[trace.state]} data-testid="trace-state">{t(`state.${trace.state}`)}</span></p>
      {trace.error ? <Failed error={trace.error} /> : null}
      <Summary trace={trace} />
      <Timeline trace={trace} />
      <Money trace={trace} />
      <Usage trace={trace} />
      <Attempts trace={trace} />
      {trace.calls.length > 1 ? <Calls trace={trace} /> : null}
    </div>
  );
}

export function TracePage() {
  const { t } = useTranslation(['trace', 'common']);
  const { traceId } = useParams({ from: '/shell/traces/$traceId' });
  usePageTitle(`${t('title')} ${traceId.slice(0, 8)}`);
  return (
    <div className="page">
      <Link to="/traces" className="back"><LeftOutlined aria-hidden="true" />{t('back')}</Link>
      <div className="trace-head">
        <h1 className="page-title">
          <span className="ds-visually-hidden">{t('title')}</span>
          <span className="ds-mono trace-id">{traceId}</span>
        </h1>
        <CopyButton
          text={traceId}
          label={t('copyId')}
          doneLabel={t('common:action.copied')}
          icon={<CopyOutlined aria-hidden="true" />}
          doneIcon={<CheckOutlined aria-hidden="true" />}
        />
      </div>
      <TraceBody traceId={traceId} />
    </div>
  );
}
