import { FetchRequest } from '../../../../edge-dp/http/fetch/request.ts';
import { respond } from '../../../../edge-dp/http/fetch/respond.ts';
import { importedLua } from '../../../../edge-dp/lua/modules.ts';
import type { PluginRegistry } from '../../../../edge-dp/plugins/registry.ts';
import { createRequestPath } from '../../../../edge-dp/proxy/create.ts';
import type { RequestPath } from '../../../../edge-dp/proxy/request-path.ts';
import { provideLua } from '../../../../shared/lua/provided.ts';

provideLua(() => importedLua);

// A data plane without config distribution: the request path alone, on the tables the test hands over.
// `PUT http://config/` changes them; everything else is a request to proxy.
export function fixedConfigWorker(plugins?: PluginRegistry) {
  let path: RequestPath | undefined;
  return {
    async fetch(request, env, context) {
      const { PROXY: settings, NETWORK: network, EGRESS: egress } = env;
      path ??= apply(createRequestPath({ settings, network, egress, plugins }), env.TABLES);
      if (request.method === 'PUT' && request.headers.get('host') === 'config') {
        try {
          path = apply(path, await request.json());
          return new Response(null, { status: 204 });
        } catch (error) {
          return new Response(`${error.name}: ${error.message}`, { status: 422 });
        }
      }
      if (env.LINGERING) context.waitUntil(new Promise((resolve) => setTimeout(resolve, env.LINGERING)));
      const arrival = {
        peerIp: env.PEER ?? null,
        edge: null,
        peerPort: 40_000,
        localPort: 8000,
        scheme: env.SCHEME ?? 'http',
        sni: null,
        waitUntil: (work) => context.waitUntil(work),
      };
      const rows = (table) => new Map(Object.entries(env.LAZY?.[table] ?? {}));
      const lazy = { lookupAll: async (table, value) => rows(table).get(value) ?? [] };
      const incoming = new FetchRequest(request, { version: '1.1', ownConnections: true });
      return respond(incoming, await path.handle(incoming, arrival, lazy), arrival.waitUntil);
    },
  };
}

function apply(current, tables) {
  const changes = Object.entries(tables).map(([table, rows]) =>
    Array.isArray(rows) ? [table, { upserts: rows, deletes: [] }] : [table, { upserts: [], deletes: [], ...rows }],
  );
  const next = current.update(new Map(changes));
  next.settle();
  return next;
}
