import { ApiError, errorFromResponse, toApiError } from './errors';
import type { components } from './schema';

export type SessionOut = components['schemas']['TokenView'];
export type SessionUser = components['schemas']['UserView'];

/** Web Locks: one refresh at a time over all tabs of this origin. Absent outside secure contexts. */
export interface LockPort {
  request<T>(name: string, run: () => Promise<T>): Promise<T>;
}

export interface SessionPorts {
  fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;
  now: () => number;
  locks: LockPort | null;
  /** Remembers that a refresh cookie probably exists, so that a first visit asks the server nothing. */
  hint: { get(): boolean; set(present: boolean): void };
}

const REFRESH_LOCK = 'deepspace.refresh';
const EARLY_MS = 30_000;

/**
 * The signed-in state of one tab. The access token lives in this object only; the refresh token is an
 * HttpOnly cookie. The cookie rotates and reuse of an old one counts as theft, so refreshes are single-flight:
 * one promise in the tab, one lock between tabs.
 */
export class Session {
  private token: string | null = null;
  private expiresAt = 0;
  private refreshing: Promise<SessionOut> | null = null;
  private readonly listeners = new Set<(user: SessionUser | null) => void>();

  constructor(private readonly ports: SessionPorts) {}

  get signedIn(): boolean {
    return this.token !== null;
  }

  /** Called with the user after sign-in and refresh, with null when the session has ended. */
  subscribe(listener: (user: SessionUser | null) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Picks up the session of an earlier visit. Null when nobody is signed in. */
  async restore(): Promise<SessionUser | null> {
    if (!this.ports.hint.get()) return null;
    return this.refresh().then(
      (out) => out.user,
      (error: unknown) => {
        if (toApiError(error).status === 401) return null;
        throw error;
      },
    );
  }

  async login(email: string, password: string): Promise<SessionUser> {
    const out = await this.post('/api/auth/login', { email, password });
    this.accept(out);
    return out.user;
  }

  async logout(): Promise<void> {
    try {
      await this.ports.fetch('/api/auth/logout', { method: 'POST', headers: this.authorization() });
    } finally {
      this.end();
    }
  }

  refresh(): Promise<SessionOut> {
    this.refreshing ??= this.exclusive(() => this.post('/api/auth/refresh'))
      .then((out) => {
        this.accept(out);
        return out;
      })
      .catch((error: unknown) => {
        if (toApiError(error).status === 401) this.end();
        throw error;
      })
      .finally(() => {
        this.refreshing = null;
      });
    return this.refreshing;
  }

  /** `fetch` with the access token: refreshed before it expires, and once when the server answers 401. */
  readonly fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    await this.ensureFresh();
    const response = await this.send(request.clone());
    if (response.status !== 401) return response;
    await this.refresh();
    return this.send(request);
  };

  private async ensureFresh(): Promise<void> {
    const stale = this.token === null || this.ports.now() > this.expiresAt - EARLY_MS;
    if (!stale) return;
    if (this.token === null && !this.ports.hint.get()) throw new ApiError('session_expired', 'not signed in', 401);
    await this.refresh();
  }

  private send(request: Request): Promise<Response> {
    for (const [name, value] of Object.entries(this.authorization())) request.headers.set(name, value);
    return this.ports.fetch(request);
  }

  private authorization(): Record<string, string> {
    return this.token === null ? {} : { authorization: `Bearer ${this.token}` };
  }

  private exclusive<T>(run: () => Promise<T>): Promise<T> {
    return this.ports.locks ? this.ports.locks.request(REFRESH_LOCK, run) : run();
  }

  private async post(path: string, body?: unknown): Promise<SessionOut> {
    const init: RequestInit = { method: 'POST', credentials: 'same-origin' };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { 'content-type': 'application/json' };
    }
    const response = await this.ports.fetch(path, init);
    if (!response.ok) throw await errorFromResponse(response);
    return (await response.json()) as SessionOut;
  }

  private accept(out: SessionOut): void {
    this.token = out.access_token;
    this.expiresAt = this.ports.now() + out.expires_in * 1000;
    this.ports.hint.set(true);
    this.notify(out.user);
  }

  private end(): void {
    this.token = null;
    this.expiresAt = 0;
    this.ports.hint.set(false);
    this.notify(null);
  }

  private notify(user: SessionUser | null): void {
    for (const listener of this.listeners) listener(user);
  }
}
