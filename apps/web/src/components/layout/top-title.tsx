import { addDecimals, formatMoney } from '@deepspace/i18n';
import { useRouterState } from '@tanstack/react-router';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocale } from '../../hooks/useLocale';
import { useChatStore, type Message } from '../../stores/chat-store';

/** What the open chat has cost so far, exactly; null before the first charge. */
export function totalCost(messages: (Message | undefined)[]): { amount: string; currency: string } | null {
  const priced = messages.filter((message) => message?.cost !== undefined && message.currency !== undefined);
  const currency = priced[0]?.currency;
  if (!currency) return null;
  return { amount: addDecimals(...priced.map((message) => message?.cost ?? '0')), currency };
}

function ChatTitle() {
  const { t } = useTranslation(['common', 'chat']);
  const locale = useLocale();
  const conversation = useChatStore((state) => (state.activeId ? state.conversations[state.activeId] : undefined));
  const messages = useChatStore((state) => state.messages);
  const total = useMemo(() => totalCost((conversation?.messageIds ?? []).map((id) => messages[id])), [conversation, messages]);
  if (!conversation) return null;
  return (
    <>
      <span className="top-name">{conversation.title || t('nav.untitled')}</span>
      {total ? <span className="top-total">{t('chat:cost.total', { amount: formatMoney(total.amount, total.currency, locale) })}</span> : null}
    </>
  );
}

export function TopTitle() {
  const onChat = useRouterState({ select: (state) => state.location.pathname === '/' });
  return <div className="top-title">{onChat ? <ChatTitle /> : null}</div>;
}
