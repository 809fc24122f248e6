import { endInterrupted, titleOf, useChatStore } from '../src/stores/chat-store';
import { totalCost } from '../src/components/layout/top-title';
import { historyOf } from '../src/hooks/useChat';
import { lateStorage } from '../src/lib/late-storage';

const store = () => useChatStore.getState();
const BASE = { id: 'm', role: 'assistant', content: '', createdAt: 0 } as const;

beforeEach(() => store().reset());

describe('chat store', () => {
  it('grows an answer and leaves other messages untouched', () => {
    const chat = store().startConversation('hello');
    const mine = store().addMessage(chat, { role: 'user', content: 'hello', status: 'done' });
    const answer = store().addMessage(chat, { role: 'assistant', content: '', status: 'waiting' });
    const before = store().messages[mine];
    store().appendText(answer, '深');
    store().appendText(answer, '空');
    expect(store().messages[answer]).toMatchObject({ content: '深空', status: 'streaming' });
    expect(store().messages[mine]).toBe(before);
    expect(store().conversations[chat]?.messageIds).toEqual([mine, answer]);
  });

  it('puts the newest conversation first and removes its messages with it', () => {
    const first = store().startConversation('a');
    const second = store().startConversation('b');
    expect(store().order).toEqual([second, first]);
    const id = store().addMessage(second, { role: 'user', content: 'x', status: 'done' });
    store().removeConversation(second);
    expect(store().messages[id]).toBeUndefined();
    expect(store()).toMatchObject({ order: [first], activeId: null });
  });

  it('opens only conversations that exist', () => {
    store().openConversation('nothing');
    expect(store().activeId).toBeNull();
  });

  it('ignores text for a message that is gone', () => {
    const before = store();
    store().appendText('gone', 'x');
    expect(store().messages).toBe(before.messages);
  });

  it('cuts a title at whole letters', () => {
    expect(titleOf('  one line\nsecond')).toBe('one line');
    expect([...titleOf('😀'.repeat(80))]).toHaveLength(61);
  });
});

describe('after a reload', () => {
  it('an answer that was running has failed, the others stay', () => {
    const messages = endInterrupted({
      a: { ...BASE, id: 'a', status: 'streaming', content: 'half' },
      b: { ...BASE, id: 'b', status: 'done', content: 'all', settling: true },
    });
    expect(messages['a']).toMatchObject({ status: 'failed', content: 'half', failure: { code: 'stream_interrupted' } });
    expect(messages['b']).toMatchObject({ status: 'done', settling: false });
  });

  it('the newest state is written once, late, or when the page is left', () => {
    vi.useFakeTimers();
    sessionStorage.clear();
    const target = new EventTarget();
    const write = vi.spyOn(Storage.prototype, 'setItem');
    const storage = lateStorage<{ n: number }>(sessionStorage, target);
    for (let n = 0; n < 100; n += 1) storage.setItem('k', { state: { n } });
    expect(write).not.toHaveBeenCalled();
    target.dispatchEvent(new Event('pagehide'));
    expect(write).toHaveBeenCalledTimes(1);
    expect(storage.getItem('k')).toEqual({ state: { n: 99 } });
    storage.setItem('k', { state: { n: 100 } });
    vi.advanceTimersByTime(500);
    expect(storage.getItem('k')).toEqual({ state: { n: 100 } });
    sessionStorage.setItem('k', '{broken');
    expect(storage.getItem('k')).toBeNull();
    vi.useRealTimers();
  });
});

describe('what is sent and what is summed', () => {
  it('sends what was said, without empty and waiting answers', () => {
    expect(
      historyOf([
        { ...BASE, role: 'user', content: 'q', status: 'done' },
        { ...BASE, content: '', status: 'failed' },
        { ...BASE, content: 'part', status: 'stopped' },
        { ...BASE, content: '', status: 'waiting' },
      ]),
    ).toEqual([
      { role: 'user', content: 'q' },
      { role: 'assistant', content: 'part' },
    ]);
  });

  it('adds costs exactly', () => {
    const cost = (amount: string) => ({ ...BASE, status: 'done' as const, cost: amount, currency: 'USD' });
    expect(totalCost([cost('0.1'), undefined, cost('0.2')])).toEqual({ amount: '0.3', currency: 'USD' });
    expect(totalCost([{ ...BASE, status: 'done' }])).toBeNull();
  });
});
