import { api, session, toApiError, unwrap, type ApiError, type Me, type Organization } from '@deepspace/api-client';
import { create } from 'zustand';

export type UserStatus = 'unknown' | 'anonymous' | 'authenticated';

interface UserState {
  status: UserStatus;
  me: Me | null;
  organizationId: string | null;
  projectId: string | null;
  /** Why the session could not be read, when the server did not answer. */
  bootError: ApiError | null;
  boot: () => Promise<UserStatus>;
  signIn: (email: string, password: string) => Promise<void>;
  signOut: () => Promise<void>;
  selectProject: (organizationId: string, projectId: string) => void;
  ended: () => void;
}

const PLACE_KEY = 'deepspace.place';
const NOBODY = { status: 'anonymous', me: null, organizationId: null, projectId: null } as const;

interface Place {
  organizationId: string | null;
  projectId: string | null;
}

/** The project of the last visit when it is still there, else the first one. */
export function choosePlace(organizations: Organization[], stored: string | null): Place {
  for (const organization of organizations) {
    if (stored && organization.projects.some((project) => project.id === stored)) return { organizationId: organization.id, projectId: stored };
  }
  const first = organizations.find((organization) => organization.projects.length > 0) ?? organizations[0];
  return { organizationId: first?.id ?? null, projectId: first?.projects[0]?.id ?? null };
}

async function readMe(): Promise<Pick<UserState, 'status' | 'me' | 'organizationId' | 'projectId'>> {
  const me = await unwrap(api.GET('/api/me'));
  return { status: 'authenticated', me, ...choosePlace(me.organizations, localStorage.getItem(PLACE_KEY)) };
}

export const useUserStore = create<UserState>()((set) => ({
  status: 'unknown',
  me: null,
  organizationId: null,
  projectId: null,
  bootError: null,
  boot: async () => {
    set({ bootError: null });
    try {
      const user = await session.restore();
      const next = user ? await readMe() : NOBODY;
      set(next);
      return next.status;
    } catch (thrown) {
      const error = toApiError(thrown);
      if (error.status === 401) set(NOBODY);
      else set({ bootError: error });
      return error.status === 401 ? 'anonymous' : 'unknown';
    }
  },
  signIn: async (email, password) => {
    await session.login(email, password);
    set(await readMe());
  },
  signOut: async () => {
    await session.logout().catch(() => undefined);
    set(NOBODY);
  },
  selectProject: (organizationId, projectId) => {
    localStorage.setItem(PLACE_KEY, projectId);
    set({ organizationId, projectId });
  },
  ended: () => set(NOBODY),
}));
