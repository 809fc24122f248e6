import type { QueryClient } from '@tanstack/react-query';
import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { CrashPage, NotFoundPage } from './components/layout/fallback-pages';
import { Shell } from './components/layout/shell';
import { useUserStore } from './stores/user-store';

const importChat = () => import('./pages/chat/chat-page');
const importLogin = () => import('./pages/login/login-page');
const importTraces = () => import('./pages/traces/trace-search-page');
const importTrace = () => import('./pages/traces/trace-page');

interface RouterContext {
  queryClient: QueryClient;
}

const rootRoute = createRootRouteWithContext<RouterContext>()({});

/** Only a path of this origin: a link must not be able to send a reader elsewhere after sign-in. */
export function safeNext(value: unknown): string {
  return typeof value === 'string' && /^\/(?![/\\])/.test(value) && !value.startsWith('/login') ? value : '/';
}

const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/login',
  validateSearch: (search: Record<string, unknown>): { next?: string } => (safeNext(search['next']) === '/' ? {} : { next: safeNext(search['next']) }),
  beforeLoad: ({ search }) => {
    if (useUserStore.getState().status === 'authenticated') throw redirect({ href: safeNext(search.next) });
  },
  component: lazyRouteComponent(importLogin, 'LoginPage'),
});

const shellRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: 'shell',
  beforeLoad: ({ location }) => {
    if (useUserStore.getState().status !== 'anonymous') return;
    throw redirect({ to: '/login', search: location.href === '/' ? {} : { next: location.href } });
  },
  component: Shell,
});

const chatRoute = createRoute({ getParentRoute: () => shellRoute, path: '/', component: lazyRouteComponent(importChat, 'ChatPage') });

const tracesRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/traces',
  component: lazyRouteComponent(importTraces, 'TraceSearchPage'),
});

const traceRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/traces/$traceId',
  component: lazyRouteComponent(importTrace, 'TracePage'),
});

const routeTree = rootRoute.addChildren([loginRoute, shellRoute.addChildren([chatRoute, tracesRoute, traceRoute])]);

export function createAppRouter(queryClient: QueryClient) {
  return createRouter({
    routeTree,
    context: { queryClient },
    defaultPreload: 'intent',
    defaultNotFoundComponent: NotFoundPage,
    defaultErrorComponent: CrashPage,
    scrollRestoration: false,
  });
}

export type AppRouter = ReturnType<typeof createAppRouter>;

/** Starts fetching the page's code while session and language are still on their way. */
export function preloadRoute(path: string): void {
  if (path === '/') void importChat();
  else if (path === '/login') void importLogin();
  else if (path === '/traces') void importTraces();
  else if (path.startsWith('/traces/')) void importTrace();
}

declare module '@tanstack/react-router' {
  interface Register {
    router: AppRouter;
  }
}
