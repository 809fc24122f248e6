import { api, unwrap, type Trace } from '@deepspace/api-client';
import { useBillingStore } from '../stores/billing-store';
import { useChatStore } from '../stores/chat-store';

const TRIES = 8;
const PAUSE_MS = 1000;

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export const isFinal = (state: Trace['state']): boolean => state !== 'held';

async function finalTrace(traceId: string): Promise<Trace | null> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    await pause(PAUSE_MS);
    const trace = await unwrap(api.GET('/api/traces/{trace_id}', { params: { path: { trace_id: traceId } } })).catch(() => null);
    if (trace && isFinal(trace.state)) return trace;
  }
  return null;
}

/** An answer that ended early has no usage chunk: its cost is read from its trace, once the server has settled it. */
export async function settleFromTrace(messageId: string, traceId: string | null, organizationId: string): Promise<void> {
  const { updateMessage } = useChatStore.getState();
  const trace = traceId ? await finalTrace(traceId) : null;
  if (trace?.usage) {
    updateMessage(messageId, { usage: { inputTokens: trace.usage.input_tokens, outputTokens: trace.usage.output_tokens } });
  }
  if (trace) updateMessage(messageId, { cost: trace.cost ?? '0', currency: trace.currency });
  updateMessage(messageId, { settling: false });
  await useBillingStore.getState().refresh(organizationId);
}
