import { toApiError } from '@deepspace/api-client';
import { useCallback } from 'react';
import { frameBatch } from '../lib/frame-batch';
import { useBillingStore } from '../stores/billing-store';
import { useChatStore, type Message } from '../stores/chat-store';
import { settleFromTrace } from './settle';
import { newTraceId, streamChat, type ChatRequest, type ChatUsage } from './useChatStream';

export interface ChatPlace {
  organizationId: string;
  projectId: string;
}

/** The running answer of each conversation. It outlives the page: a reader may look at a trace meanwhile. */
const running = new Map<string, AbortController>();

export function historyOf(messages: Message[]): ChatRequest['messages'] {
  return messages
    .filter((message) => message.content !== '' && message.status !== 'waiting')
    .map(({ role, content }) => ({ role, content }));
}

function usageChange(usage: ChatUsage): Partial<Message> {
  const change: Partial<Message> = { usage: { inputTokens: usage.inputTokens, outputTokens: usage.outputTokens } };
  if (usage.cost !== null) change.cost = usage.cost;
  if (usage.currency !== null) change.currency = usage.currency;
  return change;
}

/** Runs one answer from request to settled cost. Every outcome ends in the store; nothing is thrown. */
export async function runAnswer(conversationId: string, place: ChatPlace, model: string): Promise<void> {
  const store = useChatStore.getState();
  const conversation = store.conversations[conversationId];
  if (!conversation || running.has(conversationId)) return;
  const messages = historyOf(conversation.messageIds.flatMap((id) => store.messages[id] ?? []));
  const messageId = store.addMessage(conversationId, { role: 'assistant', content: '', status: 'waiting', model });
  const controller = new AbortController();
  running.set(conversationId, controller);
  const startedAt = performance.now();
  const batch = frameBatch((text) => store.appendText(messageId, text));
  // The trace id is ours from the start, so that an answer that is stopped before its first byte can still be traced.
  let traceId: string | null = newTraceId();
  let started = false;
  const end = (change: Partial<Message>) => {
    batch.flush();
    running.delete(conversationId);
    store.updateMessage(messageId, { durationMs: Math.round(performance.now() - startedAt), ...change });
  };
  controller.signal.addEventListener('abort', () => end({ status: 'stopped', settling: true, traceId }));
  try {
    await streamChat(
      { projectId: place.projectId, model, messages, traceId },
      {
        onStart: (ids) => {
          started = true;
          traceId = ids.traceId ?? traceId;
          store.updateMessage(messageId, { ...ids, traceId });
        },
        onText: (text) => {
          if (!controller.signal.aborted) batch.push(text);
        },
        onUsage: (usage) => store.updateMessage(messageId, usageChange(usage)),
      },
      controller.signal,
    );
    const costKnown = useChatStore.getState().messages[messageId]?.cost !== undefined;
    end({ status: 'done', settling: !costKnown });
    if (!costKnown) await settleFromTrace(messageId, traceId, place.organizationId);
    else await refreshWallet(place.organizationId);
  } catch (thrown) {
    if (!controller.signal.aborted) {
      const error = toApiError(thrown);
      const failure = { code: error.code, message: error.message };
      end({ status: 'failed', traceId: error.traceId ?? traceId, settling: started, failure });
      if (!started) return;
    }
    await settleFromTrace(messageId, traceId, place.organizationId);
  }
}

const SETTLE_MS = 1000;

/** The server settles right after the last byte: when money is still held, one more look a second later. */
async function refreshWallet(organizationId: string): Promise<void> {
  const { refresh } = useBillingStore.getState();
  await refresh(organizationId);
  if (Number(useBillingStore.getState().wallet?.frozen ?? '0') === 0) return;
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  await refresh(organizationId);
}

export function stopAnswer(conversationId: string): void {
  running.get(conversationId)?.abort();
}

export function stopEverything(): void {
  for (const controller of [...running.values()]) controller.abort();
}

interface ChatActions {
  send: (text: string) => void;
  stop: () => void;
  regenerate: (messageId: string) => void;
}

/** The verbs of the chat page. `place` and `model` are null while they are not known. */
export function useChat(place: ChatPlace | null, model: string | null): ChatActions {
  const activeId = useChatStore((state) => state.activeId);
  const organizationId = place?.organizationId;
  const projectId = place?.projectId;

  const send = useCallback(
    (text: string) => {
      const content = text.trim();
      if (!organizationId || !projectId || !model || content === '') return;
      const store = useChatStore.getState();
      const conversationId = store.activeId ?? store.startConversation(content);
      if (running.has(conversationId)) return;
      store.addMessage(conversationId, { role: 'user', content, status: 'done' });
      void runAnswer(conversationId, { organizationId, projectId }, model);
    },
    [organizationId, projectId, model],
  );

  const stop = useCallback(() => {
    if (activeId) stopAnswer(activeId);
  }, [activeId]);

  const regenerate = useCallback(
    (messageId: string) => {
      if (!activeId || !organizationId || !projectId || !model || running.has(activeId)) return;
      useChatStore.getState().dropMessage(activeId, messageId);
      void runAnswer(activeId, { organizationId, projectId }, model);
    },
    [activeId, organizationId, projectId, model],
  );

  return { send, stop, regenerate };
}
