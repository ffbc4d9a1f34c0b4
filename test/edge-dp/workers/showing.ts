import { Balancers } from '../../../edge-dp/balancer/balancers.ts';
import type { ConfigChanges } from '../../../edge-dp/config/changes.ts';
import { ConfigError } from '../../../edge-dp/config/config-error.ts';
import { Isolate } from '../../../edge-dp/config/isolate.ts';
import { clusterLink } from '../../../edge-dp/durable/cluster-link.ts';
import { jsonResponse, OwnResponse } from '../../../edge-dp/http/messages.ts';
import { proxyEntrypoint } from '../../../edge-dp/proxy/entrypoint.ts';
import type { RequestPath } from '../../../edge-dp/proxy/request-path.ts';
import { statusEntrypoint } from '../../../edge-dp/status/entrypoint.ts';
import { metricsRoutes } from '../../../edge-dp/status/metrics.ts';
import { nodeRoutes } from '../../../edge-dp/status/node.ts';

/**
 * The config half of the Worker with a request path that shows the config it was compiled from, so that a test sees
 * exactly which rows a request is served by: `GET /rows/<table>`, `GET /lookup/<table>/<value>`, `GET /changes`.
 */
function showingPath(tables: ReadonlyMap<string, ReadonlyMap<string, unknown>>, last: ConfigChanges): RequestPath {
  return {
    balancers: Balancers.empty(),
    serverCertificate: () => null,
    beginTls: () => null,
    openSession: () => null,
    settle() {},
    plans: [],
    onTrial: () => showingPath(tables, last),
    clientIp: () => '',
    claimant: async () => null,
    finish: () => 0,
    shownMetrics: { counts: false, upstreamHealth: false },
    explain() {
      throw new Error('nothing to explain');
    },
    foresee() {
      throw new Error('nothing to foresee');
    },
    update(changes) {
      const next = new Map(tables);
      for (const [table, { upserts, deletes }] of changes) {
        const rows = new Map(next.get(table));
        for (const id of deletes) rows.delete(id);
        for (const row of upserts) {
          if (row.name === 'does-not-compile') throw new ConfigError(`${table} ${row.id}: does not compile`);
          rows.set(row.id, row);
        }
        next.set(table, rows);
      }
      return showingPath(next, changes);
    },
    async handle(request, _arrival, lazy) {
      const [, what, table = '', value = ''] = request.target.split('/');
      if (what === 'rows' && tables.size > 0) return jsonResponse(200, [...(tables.get(table)?.values() ?? [])]);
      if (what === 'changes') return jsonResponse(200, Object.fromEntries(last));
      if (what === 'lookup') {
        try {
          return jsonResponse(200, await lazy.lookupAll(table, value));
        } catch (error) {
          return new OwnResponse(503, String(error));
        }
      }
      return new OwnResponse(404, 'no Route matched with those values');
    },
  };
}

const isolate = new Isolate({
  createRequestPath: () => showingPath(new Map(), new Map()),
  plugins: { 'key-auth': '3.9.3' },
});

export default proxyEntrypoint(isolate);
export class Status extends statusEntrypoint(isolate, [...nodeRoutes, ...metricsRoutes]) {}
export class ClusterLink extends clusterLink(isolate) {}
export { NodeService } from '../../../edge-dp/durable/node-service.ts';
export { NodeState } from '../../../edge-dp/durable/node-state.ts';
