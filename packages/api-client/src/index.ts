import type { components } from './schema';

export { api, session, unwrap } from './client';
export { ApiError, errorFromBody, errorFromResponse, toApiError } from './errors';
export { listModels, type Model } from './models';
export { Session, type LockPort, type SessionPorts, type SessionUser } from './session';

type Schemas = components['schemas'];
export type Me = Schemas['MeView'];
export type Organization = Schemas['OrganizationView'];
export type Trace = Schemas['TraceView'];
export type Wallet = Schemas['WalletView'];
