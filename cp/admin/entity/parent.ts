import { inputOf, patchOf, rowOf } from '../openapi/description.ts';
import { methodNotAllowed, notFound, Refusal } from '../reply.ts';
import { type AdminRoute, type Call, type Operation, param } from '../route.ts';
import { expectation, tagged } from './conditional.ts';
import { readInput } from './input.ts';
import { rowKey } from './key.ts';
import { collectionName, type Reference } from './names.ts';
import { storedDiscriminator } from './subschema.ts';

/** `/C/{c}/fk`: the parent, reached through one of its children. */
export function parentRoutes(reference: Reference): AdminRoute[] {
  const { child, field } = reference;
  return [
    {
      path: `/${collectionName(child)}/{${child.name}}/${field}`,
      methods: {
        GET: read(reference),
        PUT: replace(reference),
        PATCH: modify(reference),
        DELETE: refuseDelete(reference),
      },
    },
  ];
}

/** Id of the parent the child refers to, null when it refers to none. Throws `Refusal` 404 when there is no child. */
async function referredId(call: Call, { child, field }: Reference): Promise<{ child: string; parent: string | null }> {
  const row = await call.workspace.entity(child.name).select(rowKey(child, param(call, child.name)));
  const id = row?.id;
  if (row === null || typeof id !== 'string') throw new Refusal(notFound);
  return { child: id, parent: parentIdOf(row[field]) };
}

function parentIdOf(value: unknown): string | null {
  const id = typeof value === 'object' && value !== null && 'id' in value ? value.id : null;
  return typeof id === 'string' ? id : null;
}

async function requiredId(call: Call, reference: Reference): Promise<string> {
  const { parent } = await referredId(call, reference);
  if (parent === null) throw new Refusal(notFound);
  return parent;
}

function read(reference: Reference): Operation {
  const { child, parent, field } = reference;
  return {
    describe: {
      summary: `Read the ${field} of one of ${child.name}`,
      tag: child.name,
      success: { status: 200, schema: rowOf(parent.name) },
      errors: [400, 404],
    },
    async handle(call) {
      const row = await call.workspace.entity(parent.name).select({ id: await requiredId(call, reference) });
      return row === null ? notFound : tagged(row);
    },
  };
}

function replace(reference: Reference): Operation {
  const { child, parent, field } = reference;
  return {
    describe: {
      summary: `Create or replace the ${field} of one of ${child.name}`,
      tag: child.name,
      body: { required: false, schema: inputOf(parent.name) },
      success: { status: 200, schema: rowOf(parent.name) },
      errors: [400, 404, 409, 412],
    },
    async handle(call) {
      const ids = await referredId(call, reference);
      const input = await readInput(call, parent);
      const options = expectation(call);
      if (ids.parent !== null) {
        return tagged(await call.workspace.entity(parent.name).upsert({ id: ids.parent }, input, options));
      }
      const fresh = crypto.randomUUID();
      return call.workspace.transaction(async (inside) => {
        // Holds the child, so that of several who give it a parent at once the first one makes it, and the others change it.
        const held = await inside.entity(child.name).update({ id: ids.child }, {});
        const id = parentIdOf(held[field]) ?? fresh;
        const made = await inside.entity(parent.name).upsert({ id }, input, options);
        if (id === fresh) await inside.entity(child.name).update({ id: ids.child }, { [field]: { id } });
        return tagged(made);
      });
    },
  };
}

function modify(reference: Reference): Operation {
  const { child, parent, field } = reference;
  return {
    describe: {
      summary: `Change fields of the ${field} of one of ${child.name}`,
      tag: child.name,
      body: { required: false, schema: patchOf(parent.name) },
      success: { status: 200, schema: rowOf(parent.name) },
      errors: [400, 404, 409, 412],
    },
    async handle(call) {
      const key = { id: await requiredId(call, reference) };
      const input = await readInput(call, parent, await storedDiscriminator(call, parent, key));
      return tagged(await call.workspace.entity(parent.name).update(key, input, expectation(call)));
    },
  };
}

/** Kong answers 404 when there is no parent and refuses otherwise: a parent is never deleted through its child. */
function refuseDelete(reference: Reference): Operation {
  const { child, field } = reference;
  return {
    describe: {
      summary: `Never allowed: the ${field} of one of ${child.name} is deleted on its own path`,
      tag: child.name,
      success: { status: 204 },
      errors: [404, 405],
    },
    async handle(call) {
      await requiredId(call, reference);
      return methodNotAllowed;
    },
  };
}
