import { provideLua } from '../shared/lua/provided.ts';
import { Isolate } from './config/isolate.ts';
import { clusterLink } from './durable/cluster-link.ts';
import { healthChecker } from './durable/health-checker.ts';
import { edgeCache } from './http/fetch/edge-cache.ts';
import { timelyCache } from './http/timely-cache.ts';
import { importedLua } from './lua/modules.ts';
import { pluginVersions } from './plugins/registry.ts';
import { createRequestPath } from './proxy/create.ts';
import { internet } from './proxy/egress/internet.ts';
import { proxyEntrypoint } from './proxy/entrypoint.ts';
import { debugRoutes } from './status/debug-route.ts';
import { edgeRequests } from './status/edge-requests.ts';
import { statusEntrypoint } from './status/entrypoint.ts';
import { metricsRoutes } from './status/metrics.ts';
import { nodeRoutes } from './status/node.ts';
import { upstreamRoutes } from './status/upstreams.ts';

/**
 * The data plane Worker. Hosts wire its entrypoints: the default one to every proxy listener, with
 * `ctx.props.listener = {scheme, port}` where a listener is more than its URL says; `Status` to the Status API's own
 * listener; `NodeService` to the `NODE` binding; `ClusterLink` to the `LINK` namespace, `HealthChecker` to `HEALTH`, `NodeState` to
 * `STATE`.
 */
provideLua(() => importedLua);

/** Milliseconds: the owner of the link itself is not much farther than that. */
const NEWS_CACHE_PATIENCE = 250;

const isolate = new Isolate(
  {
    createRequestPath: ({ SETTINGS, NETWORK, EGRESS, TUNNEL, OUTWARD, NODE }, vaults) =>
      createRequestPath({
        settings: SETTINGS.proxy,
        network: NETWORK ?? internet,
        egress: EGRESS,
        tunnel: TUNNEL,
        outward: OUTWARD,
        node: NODE,
        identity: SETTINGS.node,
        vaults,
        telemetry: (SETTINGS.telemetry?.endpoints ?? 0) > 0,
        // Cloudflare ends what goes on for longer than 30 seconds.
        ...(SETTINGS.node.host === 'cloudflare' && { patience: 20_000, near: false, colo: () => isolate.colo }),
        ...(SETTINGS.node.capabilities.includes('edge_cache') && { edgeCache: edgeCache() }),
      }),
    plugins: pluginVersions(),
  },
  timelyCache(edgeCache(), NEWS_CACHE_PATIENCE),
);

const statusRoutes = [...nodeRoutes, ...metricsRoutes, ...upstreamRoutes, ...debugRoutes];

export default proxyEntrypoint(isolate, edgeRequests(isolate, statusRoutes));
export { NodeService } from './durable/node-service.ts';
export { NodeState } from './durable/node-state.ts';
export class Status extends statusEntrypoint(isolate, statusRoutes) {}
export class ClusterLink extends clusterLink(isolate) {}
export class HealthChecker extends healthChecker(isolate) {}
