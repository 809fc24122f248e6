import { api, toApiError, unwrap, type ApiError, type Wallet } from '@deepspace/api-client';
import { create } from 'zustand';

interface BillingState {
  wallet: Wallet | null;
  error: ApiError | null;
  loading: boolean;
  /** Reads the wallet. When several reads overlap, the one that was asked for last wins. */
  refresh: (organizationId: string) => Promise<void>;
  clear: () => void;
}

export const useBillingStore = create<BillingState>()((set) => {
  let latest = 0;
  return {
    wallet: null,
    error: null,
    loading: false,
    refresh: async (organizationId) => {
      const mine = ++latest;
      set({ loading: true });
      try {
        const wallet = await unwrap(
          api.GET('/api/organizations/{org}/wallet', { params: { path: { org: organizationId } } }),
        );
        if (mine === latest) set({ wallet, error: null, loading: false });
      } catch (thrown) {
        if (mine === latest) set({ error: toApiError(thrown), loading: false });
      }
    },
    clear: () => {
      latest += 1;
      set({ wallet: null, error: null, loading: false });
    },
  };
});
