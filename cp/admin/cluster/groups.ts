import { DEFAULT_GROUP } from '../../../shared/bundle/format.ts';
import { schemaOf } from '../entity/catalog.ts';
import { rowKey } from '../entity/key.ts';
import { topLevelRoutes } from '../entity/top-level.ts';
import { objectOf } from '../openapi/description.ts';
import { notFound, ok } from '../reply.ts';
import { type AdminRoute, param } from '../route.ts';
import { type ClusterView, everyDataPlane } from './cluster-view.ts';

/**
 * `GET /groups/{group}`: the group as it was written, with what its data planes are given and who they are. There is
 * `default` also without a row of that name.
 */
export function groupRoutes(cluster: ClusterView | null): AdminRoute[] {
  if (cluster === null) return [];
  const schema = schemaOf('groups');
  return topLevelRoutes(schema).flatMap(({ path, methods }) => {
    const { GET: read } = methods;
    if (path !== '/groups/{groups}' || read === undefined) return [];
    const { success } = read.describe;
    const described = {
      ...read.describe,
      summary: 'Read a group: which config its data planes are given, and which data planes these are',
      success: {
        status: 200 as const,
        schema: { allOf: [...(success.status === 200 ? [success.schema] : []), state] },
      },
    };
    return {
      path,
      methods: {
        GET: {
          describe: described,
          async handle(call) {
            const asked = param(call, 'groups');
            const row = await call.workspace.entity('groups').select(rowKey(schema, asked));
            if (row === null && asked !== DEFAULT_GROUP) return notFound;
            const name = row === null ? DEFAULT_GROUP : String(row.name);
            const nodes = [];
            for await (const { id, hostname, group, serial, sync_status } of everyDataPlane(cluster)) {
              if (group === name) nodes.push({ id, hostname, serial, sync_status });
            }
            return ok({ ...(row ?? { name }), ...cluster.group(name), nodes });
          },
        },
      },
    };
  });
}

const state = objectOf({
  trouble: { type: ['string', 'null'], description: 'Why its data planes keep what they have.' },
  serial: { type: ['integer', 'null'], description: 'Serial of the config its data planes are given.' },
  config_hash: { type: ['string', 'null'] },
  nodes: {
    type: 'array',
    items: objectOf({
      id: { type: 'string' },
      hostname: { type: 'string' },
      serial: { type: ['integer', 'null'] },
      sync_status: { type: 'string' },
    }),
  },
});
