import { create } from 'zustand';
import { persist } from 'zustand/middleware';
import { lateStorage } from '../lib/late-storage';

export type MessageStatus = 'waiting' | 'streaming' | 'done' | 'stopped' | 'failed';

export interface MessageUsage {
  inputTokens: number;
  outputTokens: number;
}

export interface MessageFailure {
  code: string;
  message: string;
}

export interface Message {
  id: string;
  role: 'user' | 'assistant';
  content: string;
  status: MessageStatus;
  createdAt: number;
  model?: string;
  traceId?: string | null;
  billingRefId?: string | null;
  usage?: MessageUsage;
  /** Decimal strings, as the server sent them. */
  cost?: string;
  currency?: string;
  durationMs?: number;
  /** The server has not told the final cost yet. */
  settling?: boolean;
  failure?: MessageFailure;
}

export interface Conversation {
  id: string;
  title: string;
  messageIds: string[];
  createdAt: number;
}

interface ChatData {
  conversations: Record<string, Conversation>;
  /** Newest first. */
  order: string[];
  messages: Record<string, Message>;
  activeId: string | null;
  modelId: string | null;
}

interface ChatState extends ChatData {
  startConversation: (title: string) => string;
  openConversation: (id: string | null) => void;
  removeConversation: (id: string) => void;
  addMessage: (conversationId: string, message: Omit<Message, 'id' | 'createdAt'>) => string;
  appendText: (messageId: string, text: string) => void;
  updateMessage: (messageId: string, change: Partial<Message>) => void;
  dropMessage: (conversationId: string, messageId: string) => void;
  chooseModel: (modelId: string) => void;
  reset: () => void;
}

const EMPTY: ChatData = { conversations: {}, order: [], messages: {}, activeId: null, modelId: null };
const TITLE_LENGTH = 60;

export function titleOf(text: string): string {
  const line = text.trim().split('\n')[0] ?? '';
  const letters = [...line];
  return letters.length > TITLE_LENGTH ? `${letters.slice(0, TITLE_LENGTH).join('')}…` : line;
}

function without<T>(record: Record<string, T>, keys: string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)));
}

/** A page that was reloaded has no open stream any more: what was running then is over now. */
export function endInterrupted(messages: Record<string, Message>): Record<string, Message> {
  const entries = Object.entries(messages).map(([id, message]): [string, Message] => {
    if (message.status !== 'waiting' && message.status !== 'streaming') return [id, { ...message, settling: false }];
    return [id, { ...message, status: 'failed', settling: false, failure: { code: 'stream_interrupted', message: '' } }];
  });
  return Object.fromEntries(entries);
}

export const useChatStore = create<ChatState>()(
  persist(
    (set, get) => ({
      ...EMPTY,
      startConversation: (title) => {
        const id = crypto.randomUUID();
        const conversation = { id, title: titleOf(title), messageIds: [], createdAt: Date.now() };
        set((state) => ({
          conversations: { ...state.conversations, [id]: conversation },
          order: [id, ...state.order],
          activeId: id,
        }));
        return id;
      },
      openConversation: (id) => set({ activeId: id !== null && get().conversations[id] ? id : null }),
      removeConversation: (id) =>
        set((state) => ({
          conversations: without(state.conversations, [id]),
          messages: without(state.messages, state.conversations[id]?.messageIds ?? []),
          order: state.order.filter((other) => other !== id),
          activeId: state.activeId === id ? null : state.activeId,
        })),
      addMessage: (conversationId, message) => {
        const id = crypto.randomUUID();
        set((state) => {
          const conversation = state.conversations[conversationId];
          if (!conversation) return state;
          const grown = { ...conversation, messageIds: [...conversation.messageIds, id] };
          return {
            messages: { ...state.messages, [id]: { ...message, id, createdAt: Date.now() } },
            conversations: { ...state.conversations, [conversationId]: grown },
          };
        });
        return id;
      },
      appendText: (messageId, text) =>
        set((state) => {
          const message = state.messages[messageId];
          if (!message) return state;
          const grown: Message = { ...message, content: message.content + text, status: 'streaming' };
          return { messages: { ...state.messages, [messageId]: grown } };
        }),
      updateMessage: (messageId, change) =>
        set((state) => {
          const message = state.messages[messageId];
          return message ? { messages: { ...state.messages, [messageId]: { ...message, ...change } } } : state;
        }),
      dropMessage: (conversationId, messageId) =>
        set((state) => {
          const conversation = state.conversations[conversationId];
          if (!conversation) return state;
          const kept = { ...conversation, messageIds: conversation.messageIds.filter((id) => id !== messageId) };
          return {
            messages: without(state.messages, [messageId]),
            conversations: { ...state.conversations, [conversationId]: kept },
          };
        }),
      chooseModel: (modelId) => set({ modelId }),
      reset: () => set(EMPTY),
    }),
    {
      name: 'deepspace.chats',
      version: 1,
      storage: lateStorage<ChatData>(sessionStorage),
      partialize: ({ conversations, order, messages, activeId, modelId }) => ({ conversations, order, messages, activeId, modelId }),
      merge: (stored, current) => {
        const data = (stored ?? {}) as Partial<ChatData>;
        return { ...current, ...data, messages: endInterrupted(data.messages ?? {}) };
      },
    },
  ),
);
