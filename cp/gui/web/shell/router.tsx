import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';
import { BASE } from '../admin/address.ts';
import { Overview } from '../overview/overview.tsx';
import { Failure, Loading } from '../parts/pieces.tsx';
import { NothingHere } from './nothing-here.tsx';
import { Shell } from './shell.tsx';

const root = createRootRoute({
  component: Shell,
  notFoundComponent: NothingHere,
  errorComponent: ({ error, reset }) => <Failure error={error} again={reset} />,
});

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** What the address says of a list besides its path: words to look for, and a state. */
export interface ListSearch {
  readonly q?: string;
  readonly state?: string;
}

function listSearch(search: Readonly<Record<string, unknown>>): ListSearch {
  const [q, state] = [text(search.q), text(search.state)];
  return { ...(q !== undefined && { q }), ...(state !== undefined && { state }) };
}

const overview = createRoute({ getParentRoute: () => root, path: '/', component: Overview });
const dataPlanes = createRoute({
  getParentRoute: () => root,
  path: '/data-planes',
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import('../data-planes/list.tsx'), 'DataPlanes'),
});
const dataPlane = createRoute({
  getParentRoute: () => root,
  path: '/data-planes/$id',
  component: lazyRouteComponent(() => import('../data-planes/node.tsx'), 'DataPlane'),
});

export const router = createRouter({
  routeTree: root.addChildren([overview, dataPlanes, dataPlane]),
  basepath: BASE === '' ? '/' : BASE,
  defaultPreload: 'intent',
  defaultPendingComponent: () => <Loading />,
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
