import type { Row } from '../../../shared/record.ts';
import type { RowKey } from '../../store/store.ts';
import { inputOf, pageOf, patchOf, rowOf } from '../openapi/description.ts';
import { created, noContent, notFound, ok, Refusal } from '../reply.ts';
import { type AdminRoute, type Call, type Operation, param } from '../route.ts';
import { expectation, tagged } from './conditional.ts';
import { readInput } from './input.ts';
import { rowKey } from './key.ts';
import { collectionName, nestedName, type Reference } from './names.ts';
import { pageBody, pageBounds, pageParameters, tagsFilter } from './page.ts';
import { storedDiscriminator } from './subschema.ts';

/** `/P/{p}/C` and `/P/{p}/C/{c}`: the children of one parent. */
export function nestedRoutes(reference: Reference): AdminRoute[] {
  const { parent, child } = reference;
  const collection = `/${collectionName(parent)}/{${parent.name}}/${nestedName(child)}`;
  return [
    { path: collection, methods: { GET: list(reference), POST: create(reference) } },
    {
      path: `${collection}/{${child.name}}`,
      methods: {
        GET: read(reference),
        PUT: replace(reference),
        PATCH: modify(reference),
        DELETE: remove(reference),
      },
    },
  ];
}

/** The parent a path names. Throws `Refusal` 404 when there is none. */
export async function parentOf(call: Call, { parent }: Reference): Promise<Row & { id: string }> {
  const row = await call.workspace.entity(parent.name).select(rowKey(parent, param(call, parent.name)));
  if (typeof row?.id !== 'string') throw new Refusal(notFound);
  return { ...row, id: row.id };
}

/** The child a path names, when it belongs to the parent the path names. Throws `Refusal` 404 otherwise. */
async function childOf(call: Call, reference: Reference): Promise<Row> {
  const parent = await parentOf(call, reference);
  const row = await call.workspace.entity(reference.child.name).select(childKey(call, reference));
  const owner = row?.[reference.field];
  if (row === null || !isReferenceTo(owner, parent.id)) throw new Refusal(notFound);
  return row;
}

const childKey = (call: Call, { child }: Reference): RowKey => rowKey(child, param(call, child.name));

const isReferenceTo = (value: unknown, id: string): boolean =>
  typeof value === 'object' && value !== null && 'id' in value && value.id === id;

function list(reference: Reference): Operation {
  const { parent, child, field } = reference;
  return {
    describe: {
      summary: `List the ${child.name} of one of ${parent.name}`,
      tag: child.name,
      query: pageParameters,
      success: { status: 200, schema: pageOf(rowOf(child.name)) },
      errors: [400, 404],
    },
    async handle(call) {
      const { id } = await parentOf(call, reference);
      // Kong filters no nested list by tags; it refuses what cannot be a filter all the same.
      tagsFilter(child, call.query);
      const page = await call.workspace.entity(child.name).page({ ...pageBounds(call.query), parent: { field, id } });
      const name = encodeURIComponent(param(call, parent.name));
      return ok(pageBody(page, `/${collectionName(parent)}/${name}/${nestedName(child)}`));
    },
  };
}

/** POST on the children of the parent a path names. */
export function create(reference: Reference): Operation {
  const { parent, child, field } = reference;
  return {
    describe: {
      summary: `Create one of ${child.name} under one of ${parent.name}`,
      tag: child.name,
      body: { required: false, schema: patchOf(child.name) },
      success: { status: 201, schema: rowOf(child.name) },
      errors: [400, 404, 409],
    },
    async handle(call) {
      const { id } = await parentOf(call, reference);
      const input = await readInput(call, child);
      return created(await call.workspace.entity(child.name).insert({ ...input, [field]: { id } }));
    },
  };
}

function read(reference: Reference): Operation {
  const { parent, child } = reference;
  return {
    describe: {
      summary: `Read one of the ${child.name} of one of ${parent.name}`,
      tag: child.name,
      success: { status: 200, schema: rowOf(child.name) },
      errors: [400, 404],
    },
    async handle(call) {
      return tagged(await childOf(call, reference));
    },
  };
}

function replace(reference: Reference): Operation {
  const { parent, child, field } = reference;
  return {
    describe: {
      summary: `Create or replace one of ${child.name} under one of ${parent.name}`,
      tag: child.name,
      body: { required: false, schema: inputOf(child.name) },
      success: { status: 200, schema: rowOf(child.name) },
      errors: [400, 404, 409, 412],
    },
    async handle(call) {
      const { id } = await parentOf(call, reference);
      const input = await readInput(call, child);
      const owned = { ...input, [field]: { id } };
      return tagged(
        await call.workspace.entity(child.name).upsert(childKey(call, reference), owned, expectation(call)),
      );
    },
  };
}

function modify(reference: Reference): Operation {
  const { parent, child, field } = reference;
  return {
    describe: {
      summary: `Change fields of one of the ${child.name} of one of ${parent.name}`,
      tag: child.name,
      body: { required: false, schema: patchOf(child.name) },
      success: { status: 200, schema: rowOf(child.name) },
      errors: [400, 404, 409, 412],
    },
    async handle(call) {
      const { [field]: owner } = await childOf(call, reference);
      const key = childKey(call, reference);
      const input = await readInput(call, child, await storedDiscriminator(call, child, key));
      // The parent counts as sent, as in Kong: what is derived from it (a password's digest) is derived anew.
      return tagged(
        await call.workspace.entity(child.name).update(key, { [field]: owner, ...input }, expectation(call)),
      );
    },
  };
}

function remove(reference: Reference): Operation {
  const { parent, child } = reference;
  return {
    describe: {
      summary: `Delete one of the ${child.name} of one of ${parent.name}`,
      tag: child.name,
      success: { status: 204 },
      errors: [400, 404, 412],
    },
    async handle(call) {
      await childOf(call, reference);
      await call.workspace.entity(child.name).delete(childKey(call, reference), expectation(call));
      return noContent;
    },
  };
}
