import { session } from '@deepspace/api-client';
import { startI18n } from '@deepspace/i18n';
import '@deepspace/ui/styles.css';
import { QueryClient } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { loadLocale } from './locales';
import { createAppRouter, preloadRoute } from './router';
import { useBillingStore } from './stores/billing-store';
import { useChatStore } from './stores/chat-store';
import { followTheme } from './stores/theme-store';
import { useUserStore } from './stores/user-store';

const queryClient = new QueryClient({
  defaultOptions: { queries: { retry: 1, staleTime: 30_000, refetchOnWindowFocus: false } },
});

/** What one person saw must not be there for the next one. */
function forgetEverything(): void {
  queryClient.clear();
  useChatStore.getState().reset();
  useBillingStore.getState().clear();
}

async function start(): Promise<void> {
  followTheme();
  preloadRoute(location.pathname);
  session.subscribe((user) => {
    if (!user) useUserStore.getState().ended();
  });
  const [i18n] = await Promise.all([startI18n(loadLocale), useUserStore.getState().boot()]);
  const router = createAppRouter(queryClient);
  useUserStore.subscribe((state, before) => {
    if (state.status !== 'anonymous' || before.status !== 'authenticated') return;
    forgetEverything();
    void router.navigate({ to: '/login', search: { next: location.pathname + location.search } });
  });
  // The skeleton of index.html stays until the first page is ready.
  await router.load();
  const root = document.getElementById('root');
  if (root) createRoot(root).render(<StrictMode><App router={router} queryClient={queryClient} i18n={i18n} /></StrictMode>);
}

void start();
