import { Isolate } from '../../../../../edge-dp/config/isolate.ts';
import { clusterLink } from '../../../../../edge-dp/durable/cluster-link.ts';
import { healthChecker } from '../../../../../edge-dp/durable/health-checker.ts';
import { pluginVersions } from '../../../../../edge-dp/plugins/registry.ts';
import { createRequestPath } from '../../../../../edge-dp/proxy/create.ts';
import { internet } from '../../../../../edge-dp/proxy/egress/internet.ts';
import { proxyEntrypoint } from '../../../../../edge-dp/proxy/entrypoint.ts';
import { statusEntrypoint } from '../../../../../edge-dp/status/entrypoint.ts';
import { metricsRoutes } from '../../../../../edge-dp/status/metrics.ts';
import { nodeRoutes } from '../../../../../edge-dp/status/node.ts';

/** The whole Worker, with less time after a request than Cloudflare gives. */
const isolate = new Isolate({
  createRequestPath: ({ SETTINGS, NETWORK, TUNNEL, NODE }) =>
    createRequestPath({
      settings: SETTINGS.proxy,
      network: NETWORK ?? internet,
      tunnel: TUNNEL,
      node: NODE,
      identity: SETTINGS.node,
      patience: 300,
    }),
  plugins: pluginVersions(),
});

export default proxyEntrypoint(isolate);
export { NodeService } from '../../../../../edge-dp/durable/node-service.ts';
export { NodeState } from '../../../../../edge-dp/durable/node-state.ts';
export class Status extends statusEntrypoint(isolate, [...nodeRoutes, ...metricsRoutes]) {}
export class ClusterLink extends clusterLink(isolate) {}
export class HealthChecker extends healthChecker(isolate) {}
