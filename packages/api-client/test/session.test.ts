import { ApiError, Session, errorFromBody, type SessionPorts } from '../src';

const USER = { id: 'u', email: 'a@b.c', name: 'A', is_operator: false };

function answer(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', 'x-trace-id': 'f'.repeat(32) } });
}

/** A server whose refresh cookie rotates; a second use of one cookie would be theft. */
function world() {
  const state = { now: 0, hint: true, refreshes: 0, atOnce: 0, mostAtOnce: 0, valid: 'none', refuse: false, seen: [] as string[] };
  const fetch: SessionPorts['fetch'] = async (input, init) => {
    const request = new Request(input instanceof Request ? input : new URL(String(input), 'http://local.test'), init);
    const path = new URL(request.url).pathname;
    state.seen.push(path);
    if (path === '/api/auth/refresh') {
      state.refreshes += 1;
      state.atOnce += 1;
      state.mostAtOnce = Math.max(state.mostAtOnce, state.atOnce);
      await new Promise((resolve) => setTimeout(resolve, 5));
      state.atOnce -= 1;
      if (state.refuse) return answer(401, { code: 'session_expired', trace_id: 't' });
      state.valid = `token-${state.refreshes}`;
      return answer(200, { access_token: state.valid, token_type: 'Bearer', expires_in: 600, user: USER });
    }
    if (path === '/api/auth/logout') return new Response(null, { status: 204 });
    const token = request.headers.get('authorization');
    if (token !== `Bearer ${state.valid}`) return answer(401, { code: 'unauthorized' });
    return answer(200, { echo: await request.text() });
  };
  return { state, fetch };
}

function sessionOf(w: ReturnType<typeof world>, locks: SessionPorts['locks'] = null): Session {
  const hint = { get: () => w.state.hint, set: (present: boolean) => void (w.state.hint = present) };
  return new Session({ fetch: w.fetch, now: () => w.state.now, locks, hint });
}

const URL_ME = 'http://local.test/api/me';

describe('Session', () => {
  it('asks for one refresh however many calls wait for it', async () => {
    const w = world();
    const session = sessionOf(w);
    const answers = await Promise.all(Array.from({ length: 8 }, () => session.fetch(URL_ME)));
    expect(answers.map((response) => response.status)).toEqual(Array(8).fill(200));
    expect(w.state.refreshes).toBe(1);
  });

  it('takes turns with other tabs', async () => {
    const w = world();
    let queue: Promise<unknown> = Promise.resolve();
    const locks: SessionPorts['locks'] = {
      request: (_name, run) => {
        const turn = queue.then(run);
        queue = turn.catch(() => undefined);
        return turn;
      },
    };
    await Promise.all([sessionOf(w, locks).refresh(), sessionOf(w, locks).refresh(), sessionOf(w, locks).refresh()]);
    expect(w.state.mostAtOnce).toBe(1);
    expect(w.state.refreshes).toBe(3);
  });

  it('refreshes before the token expires', async () => {
    const w = world();
    const session = sessionOf(w);
    await session.fetch(URL_ME);
    w.state.now = 500_000;
    await session.fetch(URL_ME);
    expect(w.state.refreshes).toBe(1);
    w.state.now = 580_000;
    await session.fetch(URL_ME);
    expect(w.state.refreshes).toBe(2);
  });

  it('refreshes once on 401 and sends the same body again', async () => {
    const w = world();
    const session = sessionOf(w);
    await session.fetch(URL_ME);
    w.state.valid = 'revoked elsewhere';
    const response = await session.fetch(URL_ME, { method: 'POST', body: 'hello' });
    expect(await response.json()).toEqual({ echo: 'hello' });
    expect(w.state.refreshes).toBe(2);
  });

  it('ends when the refresh is refused, and tells everyone', async () => {
    const w = world();
    w.state.refuse = true;
    const session = sessionOf(w);
    const heard: unknown[] = [];
    session.subscribe((user) => heard.push(user));
    await expect(session.fetch(URL_ME)).rejects.toMatchObject({ code: 'session_expired', status: 401 });
    expect(heard).toEqual([null]);
    expect(session.signedIn).toBe(false);
    expect(w.state.hint).toBe(false);
  });

  it('asks the server nothing on a first visit', async () => {
    const w = world();
    w.state.hint = false;
    expect(await sessionOf(w).restore()).toBeNull();
    expect(w.state.seen).toEqual([]);
  });

  it('restores the session of an earlier visit', async () => {
    expect(await sessionOf(world()).restore()).toEqual(USER);
  });

  it('is over after sign-out even when the server cannot be reached', async () => {
    const w = world();
    const session = sessionOf(w);
    await session.refresh();
    const broken = new Session({ fetch: () => Promise.reject(new TypeError('offline')), now: () => 0, locks: null, hint: { get: () => true, set: () => undefined } });
    await expect(broken.logout()).rejects.toThrow();
    expect(broken.signedIn).toBe(false);
    await session.logout();
    expect(session.signedIn).toBe(false);
  });
});

describe('errorFromBody', () => {
  it('reads both shapes', () => {
    expect(errorFromBody({ error: { code: 'insufficient_funds', message: 'm', trace_id: 't' } }, 402)).toMatchObject({ code: 'insufficient_funds', traceId: 't', status: 402 });
    expect(errorFromBody({ code: 'not_found', detail: 'd', trace_id: 't' }, 404)).toMatchObject({ code: 'not_found', message: 'd' });
  });

  it('has a code even when a proxy answered', () => {
    expect(errorFromBody(null, 502)).toBeInstanceOf(ApiError);
    expect(errorFromBody('<html>', 502).code).toBe('upstream_unavailable');
    expect(errorFromBody(null, 418).code).toBe('unknown');
  });
});
