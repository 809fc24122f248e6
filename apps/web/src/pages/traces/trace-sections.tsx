import type { Trace } from '@deepspace/api-client';
import { formatDateTime, formatDuration, formatInteger, formatMoney } from '@deepspace/i18n';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useErrorText } from '../../hooks/useErrorText';
import { useLocale } from '../../hooks/useLocale';
import type words from '../../locales/zh-CN';

type Words = (typeof words)['trace'];

interface Row {
  name: string;
  value: ReactNode;
}

export function Facts({ rows }: { rows: Row[] }) {
  return (
    <dl className="facts">
      {rows.map((row) => (
        <div key={row.name}>
          <dt>{row.name}</dt>
          <dd>{row.value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface TableProps {
  label: string;
  heads: string[];
  rows: { key: string; cells: ReactNode[] }[];
}

function Table({ label, heads, rows }: TableProps) {
  return (
    <div className="table-wrap" role="group" aria-label={label} tabIndex={0}>
      <table className="table">
        <thead>
          <tr>{heads.map((head) => <th key={head} scope="col">{head}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>{row.cells.map((cell, index) => <td key={heads[index]}>{cell}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Money({ trace }: { trace: Trace }) {
  const { t, i18n } = useTranslation('trace');
  const locale = useLocale();
  const money = (amount: string) => formatMoney(amount, trace.currency, locale);
  const known = (group: 'types' | 'states', word: string) => i18n.exists(`money.${group}.${word}`, { ns: 'trace' });
  const type = (word: string) => (known('types', word) ? t(`money.types.${word as keyof Words['money']['types']}`) : word);
  const state = (word: string) => (known('states', word) ? t(`money.states.${word as keyof Words['money']['states']}`) : word);
  const rows: Row[] = [];
  if (trace.price?.formula) rows.push({ name: t('money.formula'), value: <code className="formula ds-mono">{trace.price.formula}</code> });
  if (trace.hold) rows.push({ name: t('money.hold'), value: `${money(trace.hold.amount)} · ${state(trace.hold.state)}` });
  return (
    <section className="card" aria-labelledby="money-title">
      <h2 id="money-title" className="section-title">{t('money.title')}</h2>
      {rows.length > 0 ? <Facts rows={rows} /> : null}
      {trace.transactions.length === 0 ? (
        <p className="blank-line">{t('money.empty')}</p>
      ) : (
        <Table
          label={t('money.table')}
          heads={[t('money.type'), t('money.amount'), t('money.time')]}
          rows={trace.transactions.map((item) => ({
            key: item.id,
            cells: [type(item.type), <span key="amount" className="number">{money(item.amount)}</span>, formatDateTime(item.created_at, locale)],
          }))}
        />
      )}
    </section>
  );
}

export function Usage({ trace }: { trace: Trace }) {
  const { t } = useTranslation('trace');
  const locale = useLocale();
  const { usage } = trace;
  const rows: Row[] = usage
    ? [
        { name: t('usage.input'), value: formatInteger(usage.input_tokens, locale) },
        { name: t('usage.cached'), value: formatInteger(usage.cached_input_tokens, locale) },
        { name: t('usage.output'), value: formatInteger(usage.output_tokens, locale) },
        { name: t('usage.reasoning'), value: formatInteger(usage.reasoning_tokens, locale) },
        { name: t('usage.source'), value: t(`usage.${usage.source}`) },
      ]
    : [];
  return (
    <section className="card" aria-labelledby="usage-title">
      <h2 id="usage-title" className="section-title">{t('usage.title')}</h2>
      {usage ? <Facts rows={rows} /> : <p className="blank-line">{t('usage.empty')}</p>}
    </section>
  );
}

export function Attempts({ trace }: { trace: Trace }) {
  const { t, i18n } = useTranslation('trace');
  const locale = useLocale();
  const errorText = useErrorText();
  const time = (milliseconds: number | null) => (milliseconds === null ? '–' : formatDuration(milliseconds, locale));
  const outcome = (attempt: Trace['attempts'][number]) => {
    if (attempt.error) {
      const words = i18n.exists(attempt.error, { ns: 'errors' }) ? errorText(attempt.error) : attempt.error;
      return <span className="ds-tag ds-tag-bad" title={attempt.error}>{attempt.status ? `${attempt.status} · ${words}` : words}</span>;
    }
    if (attempt.status === null) return <span className="ds-tag">{t('attempts.running')}</span>;
    return <span className={attempt.status < 400 ? 'ds-tag ds-tag-good' : 'ds-tag ds-tag-bad'}>{attempt.status}</span>;
  };
  const { attempts } = trace;
  return (
    <section className="card" aria-labelledby="attempts-title">
      <h2 id="attempts-title" className="section-title">{t('attempts.title')}</h2>
      {attempts.length === 0 ? (
        <p className="blank-line">{t('attempts.empty')}</p>
      ) : (
        <Table
          label={t('attempts.table')}
          heads={[t('attempts.channel'), t('attempts.model'), t('attempts.status'), t('attempts.firstByte'), t('attempts.duration'), t('attempts.size')]}
          rows={attempts.map((attempt, index) => ({
            key: `${attempt.channel_id}-${index}`,
            cells: [
              attempt.channel_name,
              attempt.upstream_model,
              outcome(attempt),
              time(attempt.first_byte_ms),
              time(attempt.duration_ms),
              formatInteger(attempt.response_bytes, locale),
            ],
          }))}
        />
      )}
    </section>
  );
}

/** The other calls under one trace id: a caller may group several under its own W3C trace. */
export function Calls({ trace }: { trace: Trace }) {
  const { t, i18n } = useTranslation('trace');
  const locale = useLocale();
  const state = (word: string) => (i18n.exists(`state.${word}`, { ns: 'trace' }) ? t(`state.${word as keyof Words['state']}`) : word);
  return (
    <section className="card" aria-labelledby="calls-title">
      <h2 id="calls-title" className="section-title">{t('calls.title')}</h2>
      <Table
        label={t('calls.title')}
        heads={[t('field.started'), t('field.model'), t('calls.state'), t('field.cost'), t('field.billingRef')]}
        rows={trace.calls.map((call, index) => ({
          key: call.billing_ref_id ?? String(index),
          cells: [
            formatDateTime(call.started_at, locale),
            call.model ?? t('field.none'),
            state(call.state),
            call.cost === null ? t('field.none') : formatMoney(call.cost, trace.currency, locale),
            <span key="ref" className="ds-mono">{call.billing_ref_id ?? t('field.none')}</span>,
          ],
        }))}
      />
    </section>
  );
}
