import { entitiesFor } from '../../shared/entities/registry.ts';
import type { EntitySchema } from '../../shared/schema/vocabulary.ts';
import { changeRoutes } from './cluster/changes.ts';
import { clusteringRoutes } from './cluster/clustering.ts';
import { debugRouteRoutes } from './cluster/debug-route.ts';
import { eventRoutes } from './cluster/events.ts';
import { expirationRoutes } from './cluster/expirations.ts';
import { tellSerial, waitRoutes } from './cluster/freshness.ts';
import { groupRoutes } from './cluster/groups.ts';
import { metricsRoutes } from './cluster/metrics.ts';
import { proxyCacheRoutes } from './cluster/proxy-cache.ts';
import { releaseRoutes } from './cluster/releases.ts';
import { replayRoutes } from './cluster/replay.ts';
import { signingKeyRoutes } from './cluster/signing-keys.ts';
import { tellUnreached } from './cluster/unreached.ts';
import { upstreamHealthRoutes } from './cluster/upstream-health.ts';
import { vitalsRoutes } from './cluster/vitals.ts';
import { configDiffRoutes, configRoutes } from './declarative/config.ts';
import { endpointRoutes } from './discovery/endpoints.ts';
import { robotsRoutes } from './discovery/robots.ts';
import { schemaRoutes } from './discovery/schemas.ts';
import { tagRoutes } from './discovery/tags.ts';
import { generatedRoutes } from './entity/generate.ts';
import { repeatingPut } from './entity/put.ts';
import { cacheRoutes } from './node/cache.ts';
import { informationRoutes } from './node/information.ts';
import { logLevelRoutes } from './node/log-level.ts';
import { statusRoutes } from './node/status.ts';
import { timerRoutes } from './node/timers.ts';
import { OPENAPI_PATH, openApiRoutes } from './openapi/document.ts';
import type { AdminOptions } from './options.ts';
import { aclRoutes } from './overrides/acls.ts';
import { acmeRoutes } from './overrides/acme.ts';
import { certificateRoutes } from './overrides/certificates.ts';
import { consumerGroupRoutes } from './overrides/consumer-groups.ts';
import { consumerRoutes } from './overrides/consumers.ts';
import { filterChainRoutes } from './overrides/filter-chains.ts';
import { pluginRoutes } from './overrides/plugins.ts';
import { targetRoutes } from './overrides/targets.ts';
import { workspaceRoutes } from './overrides/workspaces.ts';
import { type AdminRoute, mergeRoutes } from './route.ts';

/** Every path of the Admin API, most specific first: the generated ones under the hand-written ones. */
export function adminRoutes(options: AdminOptions): AdminRoute[] {
  const { cluster, node, settings, log } = options;
  const entities = entitiesFor(settings.router_flavor);
  const writing = mergeRoutes(
    generatedRoutes(entities),
    workspaceRoutes(() => segments),
    consumerRoutes(),
    consumerGroupRoutes(),
    certificateRoutes(),
    aclRoutes(),
    filterChainRoutes(),
    targetRoutes(),
    configRoutes(options.config, settings.database === 'off', log),
  ).map(repeatingPut);
  const described = mergeRoutes(
    tellSerial(tellUnreached(writing, cluster), options.store.changes),
    acmeRoutes(options.acme),
    configDiffRoutes(options.config),
    pluginRoutes(options.plugins),
    upstreamHealthRoutes(cluster, node.id),
    tagRoutes,
    schemaRoutes(entities, options.plugins),
    informationRoutes(options),
    statusRoutes(options),
    metricsRoutes(options.metrics),
    changeRoutes(options.store.log),
    expirationRoutes(options.store.expirations),
    vitalsRoutes(options.store.telemetry),
    timerRoutes,
    cacheRoutes,
    groupRoutes(cluster),
    tellSerial(releaseRoutes(options.releases), options.store.changes),
    replayRoutes(options.releases, options.cluster),
    clusteringRoutes(cluster),
    eventRoutes(options.events),
    signingKeyRoutes(options.signingKeys),
    waitRoutes(cluster, options.store.changes, options.stopping),
    debugRouteRoutes(cluster),
    proxyCacheRoutes(cluster),
    logLevelRoutes(log, cluster, settings.role === 'control_plane' ? CONTROL_PLANES_LOG_LEVEL : CLUSTER_LOG_LEVEL),
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
