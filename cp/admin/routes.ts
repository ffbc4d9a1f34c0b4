import { entitiesFor } from '../../shared/entities/registry.ts';
import type { EntitySchema } from '../../shared/schema/vocabulary.ts';
import { aclRoutes } from './custom/acls.ts';
import { cacheRoutes } from './custom/cache.ts';
import { certificateRoutes } from './custom/certificates.ts';
import { clusteringRoutes } from './custom/clustering.ts';
import { configRoutes } from './custom/config.ts';
import { consumerGroupRoutes } from './custom/consumer-groups.ts';
import { consumerRoutes } from './custom/consumers.ts';
import { debugRouteRoutes } from './custom/debug-route.ts';
import { endpointRoutes } from './custom/endpoints.ts';
import { filterChainRoutes } from './custom/filter-chains.ts';
import { informationRoutes } from './custom/information.ts';
import { logLevelRoutes } from './custom/log-level.ts';
import { pluginRoutes } from './custom/plugins.ts';
import { robotsRoutes } from './custom/robots.ts';
import { schemaRoutes } from './custom/schemas.ts';
import { statusRoutes } from './custom/status.ts';
import { tagRoutes } from './custom/tags.ts';
import { targetRoutes } from './custom/targets.ts';
import { timerRoutes } from './custom/timers.ts';
import { upstreamHealthRoutes } from './custom/upstream-health.ts';
import { workspaceRoutes } from './custom/workspaces.ts';
import { generatedRoutes } from './entity/generate.ts';
import { OPENAPI_PATH, openApiRoutes } from './openapi/document.ts';
import type { AdminOptions } from './options.ts';
import { type AdminRoute, mergeRoutes } from './route.ts';

/** Every path of the Admin API, most specific first: the generated ones under the hand-written ones. */
export function adminRoutes(options: AdminOptions): AdminRoute[] {
  const { store, cluster, node, settings, log, connections } = options;
  const entities = entitiesFor(settings.router_flavor);
  const described = mergeRoutes(
    generatedRoutes(entities),
    workspaceRoutes(() => segments),
    consumerRoutes(),
    consumerGroupRoutes(),
    pluginRoutes,
    certificateRoutes(),
    aclRoutes(),
    filterChainRoutes(),
    targetRoutes(),
    upstreamHealthRoutes(cluster, node.id),
    tagRoutes,
    schemaRoutes(entities),
    informationRoutes(options),
    statusRoutes(store, connections),
    timerRoutes,
    cacheRoutes,
    clusteringRoutes(cluster),
    debugRouteRoutes(cluster),
    logLevelRoutes(log, settings.role === 'control_plane' ? CONTROL_PLANES_LOG_LEVEL : CLUSTER_LOG_LEVEL),
    configRoutes(options.config),
    robotsRoutes,
  );
  const all = withSelfDescription(described, entities, node.version);
  const segments = firstSegments(all);
  return all;
}

/** Adds the list of all paths and the OpenAPI document, both of which name themselves. */
function withSelfDescription(
  routes: readonly AdminRoute[],
  entities: readonly EntitySchema[],
  version: string,
): AdminRoute[] {
  const listed = mergeRoutes(routes, endpointRoutes([...routes, { path: OPENAPI_PATH, methods: {} }]));
  return mergeRoutes(listed, openApiRoutes(listed, entities, version));
}

/** The first path segments the API uses itself, which no workspace can be called. */
export const firstSegments = (routes: readonly AdminRoute[]): ReadonlySet<string> =>
  new Set(routes.map(({ path }) => path.split('/')[1] ?? ''));

const CLUSTER_LOG_LEVEL = '/debug/cluster/log-level';
const CONTROL_PLANES_LOG_LEVEL = '/debug/cluster/control-planes-nodes/log-level';
