import { isUuid } from '../../../shared/uuid.ts';
import { objectOf } from '../openapi/description.ts';
import { message, noContent, notFound, ok, Refusal } from '../reply.ts';
import { type AdminRoute, type Call, type Operation, param } from '../route.ts';
import type { ClusterView } from './cluster-view.ts';

/** What proxy-cache says in X-Cache-Key. */
const KEY = /^[0-9a-f]{64}$/;
const PLUGIN = 'proxy-cache';

/**
 * The Admin endpoints of proxy-cache. The copies are the data planes', so each of them is asked, or told, over the link; a workspace
 * has to do with those of its own configurations.
 */
export function proxyCacheRoutes(cluster: ClusterView | null): AdminRoute[] {
  const byKey = { GET: show(cluster), DELETE: purgeOne(cluster) };
  return [
    { path: '/proxy-cache', methods: { DELETE: purgeAll(cluster) } },
    { path: '/proxy-cache/{cache_key}', methods: byKey },
    { path: '/proxy-cache/{plugin_id}/caches/{cache_key}', methods: byKey },
  ];
}

function purgeAll(cluster: ClusterView | null): Operation {
  return {
    describe: {
      summary: 'Forget every cached response, on every data plane',
      tag: 'plugins',
      success: { status: 204 },
    },
    async handle({ workspace }) {
      const plugins = workspace.entity('plugins');
      let offset: string | undefined;
      do {
        const page = await plugins.page({
          where: { field: 'name', value: PLUGIN },
          ...(offset !== undefined && { offset }),
        });
        for (const { id } of page.rows) await cluster?.purge({ of: 'plugin', name: String(id) });
        offset = page.offset;
      } while (offset !== undefined);
      return noContent;
    },
  };
}

function show(cluster: ClusterView | null): Operation {
  return {
    describe: {
      summary: 'A cached response, as one of the data planes has it',
      tag: 'plugins',
      success: { status: 200, schema: objectOf({ status: { type: 'integer' }, headers: { type: 'object' } }) },
      errors: [404, 504],
    },
    async handle(call) {
      const found = await copyOf(cluster, call);
      if (found === 'none') return notFound;
      if (found === 'unknown') return message(504, 'not every data plane could be asked for it');
      return ok(found);
    },
  };
}

function purgeOne(cluster: ClusterView | null): Operation {
  return {
    describe: {
      summary: 'Forget a cached response, on every data plane',
      tag: 'plugins',
      success: { status: 204 },
      errors: [404],
    },
    async handle(call) {
      const found = await copyOf(cluster, call);
      if (found === 'none') return notFound;
      await cluster?.purge({ of: 'key', name: param(call, 'cache_key') });
      return noContent;
    },
  };
}

/** `unknown`: whoever was asked has none, but not everybody has answered. */
async function copyOf(
  cluster: ClusterView | null,
  call: Call,
): Promise<Readonly<Record<string, unknown>> | 'none' | 'unknown'> {
  const { plugin_id: plugin = null } = call.params;
  const key = param(call, 'cache_key');
  if (plugin !== null && !(await isOurs(call, plugin))) throw new Refusal(notFound);
  if (cluster === null || !KEY.test(key)) return 'none';
  const found = await cluster.copy(key, plugin);
  if (found.outcome !== 'found') return found.outcome;
  const { plugin: owner, ...copy } = found.body;
  if (!(await isOurs(call, String(owner)))) return 'none';
  return { ...copy, plugin_id: owner, data_plane: found.node };
}

/** Whether it is the id of a configuration of the workspace that was asked. */
async function isOurs({ workspace }: Call, id: string): Promise<boolean> {
  const row = isUuid(id) ? await workspace.entity('plugins').select({ id }) : null;
  return row?.name === PLUGIN;
}
