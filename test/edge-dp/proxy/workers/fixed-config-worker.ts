import { FetchRequest } from '../../../../edge-dp/http/fetch/request.ts';
import { respond } from '../../../../edge-dp/http/fetch/respond.ts';
import { OwnResponse } from '../../../../edge-dp/http/messages.ts';
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

  async function answer(incoming, env, waitUntil) {
    // A host with settings alone has all of it in them.
    const { TABLES, PROXY: settings, LAZY, LINGERING, PEER, SCHEME } = env.SETTINGS?.fixed ?? env;
    const { NETWORK: network, EGRESS: egress, OUTWARD: outward } = env;
    path ??= apply(createRequestPath({ settings, network, egress, outward, plugins }), TABLES);
    if (incoming.method === 'PUT' && incoming.headers.get('host') === 'config') {
      try {
        path = apply(path, await new Response(incoming.body.stream()).json());
        return new OwnResponse(204, null);
      } catch (error) {
        return new OwnResponse(422, `${error.name}: ${error.message}`);
      }
    }
    if (LINGERING) waitUntil(new Promise((resolve) => setTimeout(resolve, LINGERING)));
    const arrival = {
      peerIp: PEER ?? null,
      edge: null,
      peerPort: 40_000,
      localIp: null,
      tls: null,
      localPort: 8000,
      scheme: SCHEME ?? 'http',
      sni: null,
      waitUntil,
    };
    const rows = (table) => new Map(Object.entries(LAZY?.[table] ?? {}));
    const lazy = { lookupAll: async (table, value) => rows(table).get(value) ?? [] };
    return path.handle(incoming, arrival, lazy, null);
  }

  return {
    async fetch(request, env, context) {
      const waitUntil = (work) => context.waitUntil(work);
      const incoming = new FetchRequest(request, { version: '1.1', ownConnections: true });
      return respond(incoming, await answer(incoming, env, waitUntil), waitUntil);
    },
    answer: (incoming, arrival, env) => answer(incoming, env, arrival.waitUntil),
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
