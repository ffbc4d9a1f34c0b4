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

/** What the address of a page says besides its path: those of these that are texts. */
function textsIn<Name extends string>(
  search: Readonly<Record<string, unknown>>,
  names: readonly Name[],
): { [name in Name]?: string } {
  const found: { [name in Name]?: string } = {};
  for (const name of names) {
    const value = search[name];
    // An address may have a number there, which the router has read as one.
    if (typeof value === 'string' || typeof value === 'number') found[name] = String(value);
  }
  return found;
}

const overview = createRoute({ getParentRoute: () => root, path: '/', component: Overview });
const dataPlanes = createRoute({
  getParentRoute: () => root,
  path: '/data-planes',
  validateSearch: (search: Readonly<Record<string, unknown>>): { readonly q?: string; readonly state?: string } =>
    textsIn(search, ['q', 'state']),
  component: lazyRouteComponent(() => import('../data-planes/list.tsx'), 'DataPlanes'),
});
const dataPlane = createRoute({
  getParentRoute: () => root,
  path: '/data-planes/$id',
  component: lazyRouteComponent(() => import('../data-planes/node.tsx'), 'DataPlane'),
});

const entities = createRoute({
  getParentRoute: () => root,
  path: '/config/$kind',
  validateSearch: (search: Readonly<Record<string, unknown>>): { readonly q?: string; readonly tag?: string } =>
    textsIn(search, ['q', 'tag']),
  component: lazyRouteComponent(() => import('../config/list.tsx'), 'EntityList'),
});
const newEntity = createRoute({
  getParentRoute: () => root,
  path: '/config/$kind/new',
  validateSearch: (
    search: Readonly<Record<string, unknown>>,
  ): { readonly for?: string; readonly plugin?: string; readonly vault?: string } =>
    textsIn(search, ['for', 'plugin', 'vault']),
  component: lazyRouteComponent(() => import('../config/new.tsx'), 'NewEntity'),
});
const entity = createRoute({
  getParentRoute: () => root,
  path: '/config/$kind/$id',
  validateSearch: (search: Readonly<Record<string, unknown>>): { readonly under?: string } =>
    textsIn(search, ['under']),
  component: lazyRouteComponent(() => import('../config/entity.tsx'), 'Entity'),
});

const explain = createRoute({
  getParentRoute: () => root,
  path: '/explain',
  validateSearch: (search: Readonly<Record<string, unknown>>): { readonly on?: string } => textsIn(search, ['on']),
  component: lazyRouteComponent(() => import('../explain/explain.tsx'), 'Explain'),
});
const transfer = createRoute({
  getParentRoute: () => root,
  path: '/transfer',
  component: lazyRouteComponent(() => import('../transfer/transfer.tsx'), 'Transfer'),
});
const traffic = createRoute({
  getParentRoute: () => root,
  path: '/traffic',
  validateSearch: (
    search: Readonly<Record<string, unknown>>,
  ): { readonly span?: string; readonly by?: string; readonly only?: string } =>
    textsIn(search, ['span', 'by', 'only']),
  component: lazyRouteComponent(() => import('../traffic/traffic.tsx'), 'Traffic'),
});
const changes = createRoute({
  getParentRoute: () => root,
  path: '/changes',
  component: lazyRouteComponent(() => import('../changes/changes.tsx'), 'Changes'),
});
const releases = createRoute({
  getParentRoute: () => root,
  path: '/releases',
  component: lazyRouteComponent(() => import('../releases/releases.tsx'), 'Releases'),
});
const replay = createRoute({
  getParentRoute: () => root,
  path: '/replay',
  validateSearch: (search: Readonly<Record<string, unknown>>): { readonly of?: string } => textsIn(search, ['of']),
  component: lazyRouteComponent(() => import('../replay/replay.tsx'), 'Replay'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    overview,
    dataPlanes,
    dataPlane,
    traffic,
    changes,
    entities,
    newEntity,
    entity,
    explain,
    transfer,
    releases,
    replay,
  ]),
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
