import createClient from 'openapi-fetch';
import { errorFromBody } from './errors';
import { Session, type LockPort } from './session';
import type { paths } from './schema';

const HINT_KEY = 'deepspace.session';

const browserHint = {
  get: () => localStorage.getItem(HINT_KEY) === '1',
  set: (present: boolean) => (present ? localStorage.setItem(HINT_KEY, '1') : localStorage.removeItem(HINT_KEY)),
};

const browserLocks: LockPort | null =
  typeof navigator !== 'undefined' && 'locks' in navigator
    ? { request: (name, run) => navigator.locks.request(name, run) as ReturnType<typeof run> }
    : null;

/** The session of this tab. */
export const session = new Session({
  fetch: (input, init) => globalThis.fetch(input, init),
  now: () => Date.now(),
  locks: browserLocks,
  hint: browserHint,
});

/** Typed access to every operation of the gateway. Same origin, always. */
export const api = createClient<paths>({ baseUrl: globalThis.location?.origin ?? '', fetch: session.fetch });

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of a call, or an ApiError. */
export async function unwrap<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw errorFromBody(error, response.status, response.headers.get('x-trace-id'));
  return data as T;
}
