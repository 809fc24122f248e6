import NodeIndexOutlined from '@ant-design/icons/es/icons/NodeIndexOutlined';
import { formatMoney } from '@deepspace/i18n';
import { Link, useNavigate } from '@tanstack/react-router';
import { useId, useMemo, useState, type FormEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocale } from '../../hooks/useLocale';
import { usePageTitle } from '../../hooks/usePageTitle';
import { useChatStore } from '../../stores/chat-store';
import '../../styles/trace.css';
import { readTraceId } from './trace-id';

const SHOWN = 20;

function SearchBox() {
  const { t } = useTranslation('trace');
  const navigate = useNavigate();
  const id = useId();
  const [bad, setBad] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const traceId = readTraceId(String(new FormData(event.currentTarget).get('trace') ?? ''));
    setBad(traceId === null);
    if (traceId) void navigate({ to: '/traces/$traceId', params: { traceId } });
  };
  return (
    <form className="trace-search" role="search" onSubmit={submit}>
      <label htmlFor={id} className="ds-visually-hidden">{t('search.label')}</label>
      <input
        id={id}
        name="trace"
        className="ds-mono"
        placeholder={t('search.placeholder')}
        autoComplete="off"
        spellCheck={false}
        aria-invalid={bad}
        aria-describedby={bad ? `${id}-bad` : undefined}
      />
      <button type="submit" className="primary-button">{t('search.submit')}</button>
      {bad ? <p className="field-problem" id={`${id}-bad`} role="alert">{t('search.invalid')}</p> : null}
    </form>
  );
}

function RecentAnswers() {
  const { t } = useTranslation('trace');
  const locale = useLocale();
  const messages = useChatStore((state) => state.messages);
  const recent = useMemo(
    () =>
      Object.values(messages)
        .filter((message) => message.role === 'assistant' && message.traceId)
        .sort((a, b) => b.createdAt - a.createdAt)
        .slice(0, SHOWN),
    [messages],
  );
  return (
    <section aria-labelledby="recent-answers">
      <h2 id="recent-answers" className="section-title">{t('recent')}</h2>
      {recent.length === 0 ? (
        <div className="blank">
          <NodeIndexOutlined aria-hidden="true" />
          <p>{t('recentEmpty')}</p>
        </div>
      ) : (
        <ul className="trace-list">
          {recent.map((message) => (
            <li key={message.id}>
              <Link to="/traces/$traceId" params={{ traceId: message.traceId ?? '' }}>
                <span className="trace-list-text">{message.content || message.model}</span>
                <span className="trace-list-facts">
                  <span>{message.model}</span>
                  {message.cost && message.currency ? <span>{formatMoney(message.cost, message.currency, locale)}</span> : null}
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function TraceSearchPage() {
  const { t } = useTranslation('trace');
  usePageTitle(t('title'));
  return (
    <div className="page">
      <h1 className="page-title">{t('title')}</h1>
      <p className="page-intro">{t('intro')}</p>
      <SearchBox />
      <RecentAnswers />
    </div>
  );
}
