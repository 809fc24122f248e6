import type { Trace } from '@deepspace/api-client';
import { formatDuration } from '@deepspace/i18n';
import { useTranslation } from 'react-i18next';
import { useLocale } from '../../hooks/useLocale';
import type words from '../../locales/zh-CN';

type Step = keyof (typeof words)['trace']['timeline']['step'];
type Event = Trace['timeline'][number];

const BAD = /refused|failed|error|timeout|denied|rejected|expired|aborted/;
const NARROWEST_PERCENT = 0.6;

function detailText(value: unknown): string {
  if (Array.isArray(value)) return value.map(detailText).join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** An event is written down when its step ends: the bar reaches back from there by the time the step took. */
export function span(event: Pick<Event, 'offset_ms' | 'duration_ms'>, total: number): { left: number; width: number } {
  if (total <= 0) return { left: 0, width: NARROWEST_PERCENT };
  const end = Math.min(100, (event.offset_ms / total) * 100);
  const width = Math.min(end, Math.max(NARROWEST_PERCENT, ((event.duration_ms ?? 0) / total) * 100));
  return { left: Math.max(0, Math.min(end - width, 100 - NARROWEST_PERCENT)), width: Math.max(width, NARROWEST_PERCENT) };
}

function Bar({ event, total }: { event: Event; total: number }) {
  const { left, width } = span(event, total);
  return (
    <span className="bar" aria-hidden="true">
      <span className="bar-fill" style={{ left: `${left}%`, width: `${width}%` }} />
    </span>
  );
}

function Entry({ event, total }: { event: Event; total: number }) {
  const { t, i18n } = useTranslation('trace');
  const locale = useLocale();
  const known = i18n.exists(`timeline.step.${event.step}`, { ns: 'trace' });
  const details = Object.entries(event.detail ?? {});
  return (
    <li className={BAD.test(event.event) ? 'event event-bad' : 'event'}>
      <div className="event-head">
        <span className="event-step">{known ? t(`timeline.step.${event.step as Step}`) : event.step}</span>
        <code className="event-name ds-mono">{event.event}</code>
        <span className="event-time">
          <span className="ds-visually-hidden">{t('timeline.at', { time: formatDuration(event.offset_ms, locale) })}</span>
          <span aria-hidden="true">{`+${formatDuration(event.offset_ms, locale)}`}</span>
          {typeof event.duration_ms === 'number' ? <span className="event-took">{t('timeline.took', { time: formatDuration(event.duration_ms, locale) })}</span> : null}
        </span>
      </div>
      <Bar event={event} total={total} />
      {details.length > 0 ? (
        <dl className="event-detail">
          {details.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd className="ds-mono">{detailText(value)}</dd>
            </div>
          ))}
        </dl>
      ) : null}
    </li>
  );
}

/** What happened, in order, each step on the time axis of the whole call. */
export function Timeline({ trace }: { trace: Trace }) {
  const { t } = useTranslation('trace');
  const total = Math.max(trace.duration_ms ?? 0, ...trace.timeline.map((event) => event.offset_ms));
  return (
    <section className="card" aria-labelledby="timeline-title">
      <h2 id="timeline-title" className="section-title">{t('timeline.title')}</h2>
      {trace.timeline.length === 0 ? <p className="blank-line">{t('timeline.empty')}</p> : null}
      <ol className="timeline">
        {trace.timeline.map((event, index) => (
          <Entry key={index} event={event} total={total} />
        ))}
      </ol>
    </section>
  );
}
