import { schemaOf } from '../entity/catalog.ts';
import { topLevelRoutes } from '../entity/top-level.ts';
import { message, ok } from '../reply.ts';
import type { AdminRoute, Operation } from '../route.ts';

/** `GET /consumers?custom_id=x` finds the one consumer with that custom id; else the usual list. */
export function consumerRoutes(): AdminRoute[] {
  const list = topLevelRoutes(schemaOf('consumers')).find(({ path }) => path === '/consumers')?.methods.GET;
  return list === undefined ? [] : [{ path: '/consumers', methods: { GET: byCustomId(list) } }];
}

function byCustomId(list: Operation): Operation {
  return {
    describe: {
      ...list.describe,
      query: [
        ...(list.describe.query ?? []),
        { name: 'custom_id', description: 'Only the consumer with this custom id.', schema: { type: 'string' } },
      ],
    },
    async handle(call) {
      const customId = call.query.get('custom_id');
      if (customId === undefined) return list.handle(call);
      if (customId === '') return message(400, 'custom_id must be an unempty string');
      const found = await call.workspace.entity('consumers').select({ field: 'custom_id', value: customId });
      return ok({ data: found === null ? [] : [found], next: null });
    },
  };
}
