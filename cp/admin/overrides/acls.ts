import { isUuid } from '../../../shared/uuid.ts';
import { schemaOf } from '../entity/catalog.ts';
import { rowKey } from '../entity/key.ts';
import { nestedRoutes } from '../entity/nested.ts';
import { notFound, Refusal } from '../reply.ts';
import { argument, withArgument } from '../request/body.ts';
import { type AdminRoute, type Call, mapOperations, param } from '../route.ts';

const PATH = '/consumers/{consumers}/acls/{acls}';

/** `/consumers/{c}/acls/{group}`: the group's name stands for the id in every method. */
export function aclRoutes(): AdminRoute[] {
  const generated = nestedRoutes({ child: schemaOf('acls'), field: 'consumer', parent: schemaOf('consumers') });
  const route = generated.find(({ path }) => path === PATH);
  if (route === undefined) return [];
  return [
    mapOperations(route, (operation) => ({
      ...operation,
      handle: async (call) => operation.handle(await byGroup(call)),
    })),
  ];
}

/** The same call with the id of the consumer's ACL row in place of its group; PUT gets a new id when there is none. */
async function byGroup(call: Call): Promise<Call> {
  const group = param(call, 'acls');
  if (isUuid(group)) return call;
  const consumers = schemaOf('consumers');
  const consumer = await call.workspace.entity('consumers').select(rowKey(consumers, param(call, 'consumers')));
  const id = consumer?.id;
  if (typeof id !== 'string') throw new Refusal(notFound);
  const page = await call.workspace
    .entity('acls')
    .page({ parent: { field: 'consumer', id }, where: { field: 'group', value: group } });
  const acl = page.rows[0]?.id;
  if (typeof acl !== 'string' && call.method !== 'PUT') throw new Refusal(notFound);
  const body =
    call.method === 'PUT' && argument(call.body, 'group') === undefined
      ? withArgument(call.body, 'group', group)
      : call.body;
  return { ...call, body, params: { ...call.params, acls: typeof acl === 'string' ? acl : crypto.randomUUID() } };
}
