/** What went wrong, in the words of the server's stable codes. Interfaces translate `code`, never `message`. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly code: string,
    message: string,
    readonly status: number = 0,
    readonly traceId: string | null = null,
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
  }
}

type Fields = Record<string, unknown>;

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
const fields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});

/** Reads both error shapes of the gateway: `{"error": {...}}` on /v1 and problem JSON on /api. */
export function errorFromBody(body: unknown, status: number, traceId: string | null = null): ApiError {
  const outer = fields(body);
  const inner = 'error' in outer ? fields(outer['error']) : outer;
  const message = text(inner['message']) ?? text(inner['detail']) ?? text(inner['title']) ?? `HTTP ${status}`;
  return new ApiError(text(inner['code']) ?? codeOfStatus(status), message, status, text(inner['trace_id']) ?? traceId);
}

export async function errorFromResponse(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  const error = errorFromBody(body, response.status, response.headers.get('x-trace-id'));
  const seconds = Number(response.headers.get('retry-after'));
  return seconds > 0 ? new ApiError(error.code, error.message, error.status, error.traceId, seconds) : error;
}

/** Anything thrown while calling the gateway, as an ApiError. A failed fetch is a TypeError without details. */
export function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  return new ApiError('network', thrown instanceof Error ? thrown.message : String(thrown));
}

function codeOfStatus(status: number): string {
  if (status === 401) return 'unauthorized';
  if (status === 403) return 'permission_denied';
  if (status === 404) return 'not_found';
  if (status === 429) return 'rate_limited';
  if (status === 502 || status === 503) return 'upstream_unavailable';
  return status >= 500 ? 'internal_error' : 'unknown';
}
