import { Isolate } from '../../../../../edge-dp/config/isolate.ts';
import { clusterLink } from '../../../../../edge-dp/durable/cluster-link.ts';
import { healthChecker } from '../../../../../edge-dp/durable/health-checker.ts';
import type { Plugin } from '../../../../../edge-dp/plugins/runtime/plugin.ts';
import { createRequestPath } from '../../../../../edge-dp/proxy/create.ts';
import { internet } from '../../../../../edge-dp/proxy/egress/internet.ts';
import { proxyEntrypoint } from '../../../../../edge-dp/proxy/entrypoint.ts';
import { statusEntrypoint } from '../../../../../edge-dp/status/entrypoint.ts';
import { nodeRoutes } from '../../../../../edge-dp/status/node.ts';

/**
 * The whole Worker with one plugin, which does with the node's shared state what a request says: `/take/<key>/<limit>`,
 * `/put/<key>/<text>`, `/get/<key>`, `/once/<key>`.
 */
const sharing: Plugin = {
  name: 'sharing',
  version: '1.0.0',
  priority: 1,
  compile(_config, _place, { counters, records }) {
    const kept = records('test', 'node');
    return {
      async access(request) {
        const [, does, key = '', value = ''] = request.rawPath.split('/');
        switch (does) {
          case 'take': {
            const window = { key, start: 0, length: Number.MAX_SAFE_INTEGER, limit: Number(value) };
            const [usage] = await counters.take([window], 1, 'node');
            return request.exit(usage?.room === true ? 200 : 429, String(usage?.used));
          }
          case 'put':
            await kept.put(key, { text: value }, 60);
            return request.exit(204);
          case 'once':
            return request.exit((await kept.add(key, 1, 60)) ? 201 : 409);
          default:
            return request.exit(200, JSON.stringify(await kept.get(key)));
        }
      },
    };
  },
};

const plugins = new Map([[sharing.name, sharing]]);
const isolate = new Isolate({
  createRequestPath: ({ SETTINGS, NETWORK, EGRESS, NODE }) =>
    createRequestPath({ settings: SETTINGS.proxy, network: NETWORK ?? internet, egress: EGRESS, node: NODE, plugins }),
  plugins: { sharing: '1.0.0' },
});

export default proxyEntrypoint(isolate);
export { NodeService } from '../../../../../edge-dp/durable/node-service.ts';
export { NodeState } from '../../../../../edge-dp/durable/node-state.ts';
export class Status extends statusEntrypoint(isolate, nodeRoutes) {}
export class ClusterLink extends clusterLink(isolate) {}
export class HealthChecker extends healthChecker(isolate) {}
