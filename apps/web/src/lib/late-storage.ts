import type { PersistStorage, StorageValue } from 'zustand/middleware';

const DELAY_MS = 400;

/**
 * sessionStorage for a store that changes on every frame: the newest value is written at most every 400 ms
 * and when the page is left.
 */
export function lateStorage<S>(storage: Storage, target: EventTarget = window): PersistStorage<S> {
  const waiting = new Map<string, StorageValue<S>>();
  let timer: ReturnType<typeof setTimeout> | null = null;

  const write = () => {
    if (timer) clearTimeout(timer);
    timer = null;
    for (const [name, value] of waiting) {
      try {
        storage.setItem(name, JSON.stringify(value));
      } catch {
        // The quota is full. The conversation stays in memory; losing the copy must not break the chat.
      }
    }
    waiting.clear();
  };
  target.addEventListener('pagehide', write);

  return {
    getItem: (name) => {
      const text = storage.getItem(name);
      if (text === null) return null;
      try {
        return JSON.parse(text) as StorageValue<S>;
      } catch {
        return null;
      }
    },
    setItem: (name, value) => {
      waiting.set(name, value);
      timer ??= setTimeout(write, DELAY_MS);
    },
    removeItem: (name) => {
      waiting.delete(name);
      storage.removeItem(name);
    },
  };
}
