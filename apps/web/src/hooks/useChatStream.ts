import { ApiError, errorFromBody, errorFromResponse, session } from '@deepspace/api-client';
import { createParser } from 'eventsource-parser';

export interface ChatUsage {
  inputTokens: number;
  outputTokens: number;
  cost: string | null;
  currency: string | null;
}

export interface ChatStreamHandlers {
  onStart: (ids: { traceId: string | null; billingRefId: string | null }) => void;
  onText: (text: string) => void;
  onUsage: (usage: ChatUsage) => void;
}

export interface ChatRequest {
  projectId: string;
  model: string;
  traceId: string;
  messages: { role: 'user' | 'assistant' | 'system'; content: string }[];
}

interface Chunk {
  choices?: { delta?: { content?: string | null } }[];
  usage?: { prompt_tokens: number; completion_tokens: number; cost?: string; currency?: string } | null;
}

const hex = (bytes: number) => [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** A W3C trace id. The gateway continues a trace that the caller began. */
export const newTraceId = (): string => hex(16);

const DONE = '[DONE]';

function takeChunk(data: string, handlers: Pick<ChatStreamHandlers, 'onText' | 'onUsage'>): void {
  let chunk: Chunk;
  try {
    chunk = JSON.parse(data) as Chunk;
  } catch {
    throw new ApiError('upstream_error', 'the stream carried something that is not JSON');
  }
  if ('error' in chunk) throw errorFromBody(chunk, 0);
  const text = chunk.choices?.[0]?.delta?.content;
  if (text) handlers.onText(text);
  if (chunk.usage) {
    const { prompt_tokens: inputTokens, completion_tokens: outputTokens, cost, currency } = chunk.usage;
    handlers.onUsage({ inputTokens, outputTokens, cost: cost ?? null, currency: currency ?? null });
  }
}

/**
 * Reads one answer from a stream of server-sent events, however the bytes are cut. Ends normally only after `[DONE]`;
 * an error event or a stream that just stops is an ApiError.
 */
export async function readChatStream(
  body: ReadableStream<Uint8Array>,
  handlers: Pick<ChatStreamHandlers, 'onText' | 'onUsage'>,
): Promise<void> {
  let finished = false;
  let cutOff = false;
  let failure: unknown = null;
  const parser = createParser({
    onEvent: (event) => {
      if (finished || failure) return;
      try {
        if (event.data === DONE) finished = true;
        else if (cutOff) return;
        else if (event.event === 'error') failure = errorFromBody(JSON.parse(event.data), 0);
        else takeChunk(event.data, handlers);
      } catch (thrown) {
        failure = thrown instanceof ApiError ? thrown : new ApiError('upstream_error', String(thrown));
      }
    },
  });
  const reader = body.getReader();
  const decoder = new TextDecoder();
  try {
    while (!finished && !failure) {
      const { done, value } = await reader.read();
      if (done) break;
      parser.feed(decoder.decode(value, { stream: true }));
    }
    // Some proxies swallow the last blank line. Then only a complete `[DONE]` counts; half an event is no event.
    cutOff = true;
    if (!finished && !failure) parser.feed('\n\n');
  } finally {
    reader.cancel().catch(() => undefined);
  }
  if (failure) throw failure;
  if (!finished) throw new ApiError('stream_interrupted', 'the stream ended without [DONE]');
}

/** Asks the gateway for an answer and reads it as it comes. Aborting `signal` stops the generation. */
export async function streamChat(request: ChatRequest, handlers: ChatStreamHandlers, signal: AbortSignal): Promise<void> {
  const response = await session.fetch('/v1/chat/completions', {
    method: 'POST',
    signal,
    headers: {
      'content-type': 'application/json',
      'x-deepspace-project': request.projectId,
      'idempotency-key': crypto.randomUUID(),
      traceparent: `00-${request.traceId}-${hex(8)}-01`,
    },
    body: JSON.stringify({
      model: request.model,
      messages: request.messages,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!response.ok) throw await errorFromResponse(response);
  handlers.onStart({ traceId: response.headers.get('x-trace-id'), billingRefId: response.headers.get('x-billing-ref-id') });
  if (!response.body) throw new ApiError('stream_interrupted', 'the answer has no body');
  await readChatStream(response.body, handlers);
}
