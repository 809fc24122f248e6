import { readChatStream, type ChatUsage } from '../src/hooks/useChatStream';

const chunk = (text: string) => `data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}`;
const USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"cost":"0.000012345","currency":"USD"}}';

function body(pieces: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

async function read(pieces: Uint8Array[]): Promise<{ text: string; usage: ChatUsage | null }> {
  const seen: { text: string; usage: ChatUsage | null } = { text: '', usage: null };
  await readChatStream(body(pieces), {
    onText: (text) => {
      seen.text += text;
    },
    onUsage: (usage) => {
      seen.usage = usage;
    },
  });
  return seen;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const EXPECTED = { text: ' 深空 a\nb', usage: { inputTokens: 3, outputTokens: 2, cost: '0.000012345', currency: 'USD' } };

describe.each([
  ['LF', '\n'],
  ['CRLF', '\r\n'],
])('a stream with %s', (_name, end) => {
  const lines = [': heartbeat', '', chunk(' 深空'), '', ': heartbeat', '', chunk(' a\nb'), '', USAGE, '', 'data: [DONE]', '', ''];
  const whole = bytes(lines.join(end));

  it('is read in one piece', async () => {
    expect(await read([whole])).toEqual(EXPECTED);
  });

  it('is read the same wherever it is cut in two', async () => {
    for (let cut = 1; cut < whole.length; cut += 1) expect(await read([whole.slice(0, cut), whole.slice(cut)])).toEqual(EXPECTED);
  });

  it('is read the same byte by byte', async () => {
    expect(await read([...whole].map((byte) => Uint8Array.of(byte)))).toEqual(EXPECTED);
  });
});

describe('a stream that goes wrong', () => {
  const ERROR = 'event: error\ndata: {"error":{"message":"boom","code":"upstream_timeout","trace_id":"t"}}\n\n';

  it('keeps what came and throws the error event', async () => {
    let text = '';
    const reading = readChatStream(body([bytes(`${chunk('half')}\n\n${ERROR}`)]), { onText: (piece) => void (text += piece), onUsage: () => undefined });
    await expect(reading).rejects.toMatchObject({ code: 'upstream_timeout', traceId: 't' });
    expect(text).toBe('half');
  });

  it('is an error when it stops without [DONE]', async () => {
    await expect(read([bytes(`${chunk('half')}\n\n`)])).rejects.toMatchObject({ code: 'stream_interrupted' });
    await expect(read([])).rejects.toMatchObject({ code: 'stream_interrupted' });
  });

  it('is an error when a chunk is not JSON', async () => {
    await expect(read([bytes('data: {oops\n\ndata: [DONE]\n\n')])).rejects.toMatchObject({ code: 'upstream_error' });
  });

  it('takes a last event without a blank line', async () => {
    expect((await read([bytes(`${chunk('x')}\n\ndata: [DONE]\n`)])).text).toBe('x');
  });

  it('does not take half an event for a broken answer', async () => {
    await expect(read([bytes(`${chunk('x')}\n\n${chunk('half').slice(0, 20)}`)])).rejects.toMatchObject({ code: 'stream_interrupted' });
  });

  it('hears nothing after [DONE]', async () => {
    expect((await read([bytes(`data: [DONE]\n\n${chunk('late')}\n\n`)])).text).toBe('');
  });
});
