import { Isolate } from '../../../../../edge-dp/config/isolate.ts';
import { clusterLink } from '../../../../../edge-dp/durable/cluster-link.ts';
import { healthChecker } from '../../../../../edge-dp/durable/health-checker.ts';
import type { Plugin } from '../../../../../edge-dp/plugins/runtime/plugin.ts';
import type { Scope } from '../../../../../edge-dp/plugins/runtime/services.ts';
import { createRequestPath } from '../../../../../edge-dp/proxy/create.ts';
import { internet } from '../../../../../edge-dp/proxy/egress/internet.ts';
import { proxyEntrypoint } from '../../../../../edge-dp/proxy/entrypoint.ts';
import { statusEntrypoint } from '../../../../../edge-dp/status/entrypoint.ts';
import { metricsRoutes } from '../../../../../edge-dp/status/metrics.ts';
import { nodeRoutes } from '../../../../../edge-dp/status/node.ts';

/**
 * The whole Worker with one plugin, which does with the node's shared state what a request says: `/take/<key>/<limit>`,
 * `/used/<key>`, `/put/<key>/<text>`, `/get/<key>`, `/once/<key>`, `/use/<key>`, `/delete/<key>`; `/slow` takes a while. Paths go to `collector` in a queue that waits for ever.
 */
const sharing: Plugin<{ readonly collector?: string; readonly scope?: Scope }> = {
  name: 'sharing',
  version: '3.9.3',
  priority: 1,
  compile({ collector, scope = 'node' }, _place, { counters, records, queue, fetch }) {
    const kept = records('test', scope);
    const collected = queue<string>('collected', FOR_EVER, async (batch) => {
      (await fetch({ url: collector ?? '', method: 'POST', body: JSON.stringify(batch), timeout: 60_000 })).discard();
    });
    return {
      async access(request) {
        const [, does, key = '', value = ''] = request.rawPath.split('/');
        switch (does) {
          case 'take': {
            const [usage] = await counters.take([{ ...ERA, key, limit: Number(value) }], 1, scope);
            return request.exit(usage?.room === true ? 200 : 429, String(usage?.used));
          }
          case 'used': {
            const [usage] = await counters.usage([{ ...ERA, key, limit: 1 }], scope);
            return request.exit(200, String(usage?.used));
          }
          case 'put':
            await kept.put(key, { text: value }, 60);
            return request.exit(204);
          case 'delete':
            await kept.delete(key);
            return request.exit(204);
          case 'use':
            return request.exit(200, JSON.stringify(await kept.take(key)));
          case 'once':
            return request.exit((await kept.add(key, 1, 60)) ? 201 : 409);
          case 'slow':
            (await fetch({ url: `${collector}begun`, method: 'POST', body: '', timeout: 60_000 })).discard();
            await new Promise((resolve) => setTimeout(resolve, 500));
            return request.exit(200);
          default:
            return request.exit(200, JSON.stringify(await kept.get(key)));
        }
      },
      log({ request }) {
        if (collector !== undefined) collected.push(request.rawPath, request);
      },
    };
  },
};

/** A window that no test sees the end of. */
const ERA = { start: 0, length: 4_000_000_000_000 };

/** Nothing but an end makes this send. */
const FOR_EVER = {
  max_batch_size: 1000,
  max_coalescing_delay: 3600,
  max_entries: 1000,
  max_bytes: null,
  initial_retry_delay: 0.01,
  max_retry_delay: 1,
  max_retry_time: 10,
};

const plugins = new Map([[sharing.name, sharing]]);
const isolate = new Isolate({
  createRequestPath: ({ SETTINGS, NETWORK, EGRESS, OUTWARD, NODE }) =>
    createRequestPath({
      settings: SETTINGS.proxy,
      network: NETWORK ?? internet,
      egress: EGRESS,
      outward: OUTWARD,
      node: NODE,
      plugins,
    }),
  plugins: { sharing: '3.9.3' },
});

export default proxyEntrypoint(isolate);
export { NodeService } from '../../../../../edge-dp/durable/node-service.ts';
export { NodeState } from '../../../../../edge-dp/durable/node-state.ts';
export class Status extends statusEntrypoint(isolate, [...nodeRoutes, ...metricsRoutes]) {}
export class ClusterLink extends clusterLink(isolate) {}
export class HealthChecker extends healthChecker(isolate) {}
