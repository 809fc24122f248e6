/** The few operations the first rooms need, in the shape openapi-typescript generates. */
type Json<T> = { content: { 'application/json': T } };
type Failure = { content: { 'application/problem+json': components['schemas']['Problem'] } };
type NoBody = { requestBody?: never };
type NoParameters = { query?: never; header?: never; path?: never; cookie?: never };

export interface paths {
  '/api/auth/login': {
    post: {
      parameters: NoParameters;
      requestBody: Json<components['schemas']['LoginBody']>;
      responses: { 200: Json<components['schemas']['SessionOut']>; default: Failure };
    };
  };
  '/api/auth/refresh': {
    post: NoBody & { parameters: NoParameters; responses: { 200: Json<components['schemas']['SessionOut']>; default: Failure } };
  };
  '/api/auth/logout': {
    post: NoBody & { parameters: NoParameters; responses: { 204: { content?: never }; default: Failure } };
  };
  '/api/me': {
    get: NoBody & { parameters: NoParameters; responses: { 200: Json<components['schemas']['Me']>; default: Failure } };
  };
  '/api/organizations/{organization_id}/wallet': {
    get: NoBody & {
      parameters: { query?: never; header?: never; path: { organization_id: string }; cookie?: never };
      responses: { 200: Json<components['schemas']['Wallet']>; default: Failure };
    };
  };
  '/api/traces/{trace_id}': {
    get: NoBody & {
      parameters: { query?: never; header?: never; path: { trace_id: string }; cookie?: never };
      responses: { 200: Json<components['schemas']['Trace']>; default: Failure };
    };
  };
}

export interface components {
  schemas: {
    Problem: {
      type: string; title: string; status: number; detail?: string; code: string; trace_id: string;
      errors?: { loc: (string | number)[]; message: string; type: string }[];
    };
    LoginBody: { email: string; password: string };
    SessionUser: { id: string; email: string; name: string; is_operator: boolean };
    SessionOut: { access_token: string; token_type: string; expires_in: number; user: components['schemas']['SessionUser'] };
    Project: { id: string; name: string };
    Organization: { id: string; name: string; role: string; currency: string; projects: components['schemas']['Project'][] };
    Me: components['schemas']['SessionUser'] & { organizations: components['schemas']['Organization'][] };
    Wallet: {
      organization_id: string; currency: string; balance: string; frozen: string; credit_limit: string; available: string;
      state: 'active' | 'frozen';
    };
    Trace: {
      trace_id: string; billing_ref_id: string | null; organization_id: string; project_id: string | null;
      state: 'held' | 'captured' | 'released' | 'expired' | 'refused';
      model: string | null; stream: boolean; started_at: string; ended_at: string | null; duration_ms: number | null;
      currency: string; cost: string | null;
      identity: { kind: 'api_key' | 'session'; user_id: string | null; api_key_id: string | null; api_key_name: string | null };
      hold: { amount: string; state: string; created_at: string; settled_at: string | null } | null;
      usage: {
        input_tokens: number; cached_input_tokens: number; output_tokens: number; reasoning_tokens: number;
        source: 'reported' | 'estimated';
      } | null;
      price: { version_id: string; currency: string; per_million: { [key: string]: string }; per_call: string; formula: string } | null;
      attempts: {
        channel_id: string; channel_name: string; upstream_model: string; status: number | null; error: string | null;
        started_at: string; first_byte_ms: number | null; duration_ms: number | null; response_bytes: number;
      }[];
      transactions: { id: string; type: string; amount: string; created_at: string }[];
      timeline: { offset_ms: number; step: string; event: string; duration_ms: number | null; detail: { [key: string]: unknown } }[];
    };
  };
}
