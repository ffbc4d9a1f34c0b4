import * as errors from '../../../shared/schema/errors.ts';
import { schemaOf } from '../entity/catalog.ts';
import { expectation } from '../entity/conditional.ts';
import { rowKey } from '../entity/key.ts';
import { topLevelRoutes } from '../entity/top-level.ts';
import { message, noContent } from '../reply.ts';
import { argument, withArgument } from '../request/body.ts';
import { type AdminRoute, type Call, type Method, type Operation, param } from '../route.ts';

const DEFAULT = 'default';

/**
 * `/workspaces`, of Kong Enterprise's clients. A workspace is reached by its name in front of any path, so the name
 * cannot change, nor be one the API uses itself.
 */
export function workspaceRoutes(ownSegments: () => ReadonlySet<string>): AdminRoute[] {
  const schema = schemaOf('workspaces');
  return topLevelRoutes(schema).map((route) => {
    const methods: Partial<Record<Method, Operation>> = { ...route.methods };
    const { POST: create, PUT: replace, PATCH: modify, DELETE: remove } = route.methods;
    if (create !== undefined) methods.POST = before(create, refuseReserved);
    if (replace !== undefined) methods.PUT = before(replace, refuseRename);
    if (modify !== undefined) methods.PATCH = before(modify, refuseRename);
    if (remove !== undefined) methods.DELETE = { ...remove, handle: removeUnlessDefault };
    return { ...route, methods };
  });

  function refuseReserved({ body }: Call): void {
    const name = argument(body, 'name');
    if (typeof name === 'string' && ownSegments().has(name)) {
      throw errors.schemaViolation({ name: `'${name}' is a path of the Admin API and cannot name a workspace` });
    }
  }

  async function refuseRename(call: Call): Promise<void> {
    const key = param(call, 'workspaces');
    const stored = await call.workspace.entity('workspaces').select(rowKey(schema, key));
    const name = argument(call.body, 'name');
    if (stored === null) {
      refuseReserved(name === undefined ? { ...call, body: withArgument(call.body, 'name', key) } : call);
    } else if (name !== undefined && name !== stored.name) {
      throw errors.schemaViolation({ name: 'a workspace cannot be renamed' });
    }
  }

  async function removeUnlessDefault(call: Call) {
    const workspaces = call.workspace.entity('workspaces');
    const key = rowKey(schema, param(call, 'workspaces'));
    if ((await workspaces.select(key))?.name === DEFAULT) {
      return message(400, 'the default workspace cannot be deleted');
    }
    await workspaces.delete(key, expectation(call));
    return noContent;
  }
}

function before(operation: Operation, check: (call: Call) => void | Promise<void>): Operation {
  return {
    describe: operation.describe,
    async handle(call) {
      await check(call);
      return operation.handle(call);
    },
  };
}
