import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import { inputOf, pageOf, patchOf, rowOf } from '../openapi/description.ts';
import { created, noContent, notFound, ok } from '../reply.ts';
import { type AdminRoute, type Operation, param } from '../route.ts';
import { expectation, tagged } from './conditional.ts';
import { readInput } from './input.ts';
import { rowKey } from './key.ts';
import { collectionName } from './names.ts';
import { pageBody, pageBounds, pageParameters, tagsFilter, tagsParameter } from './page.ts';
import { storedDiscriminator } from './subschema.ts';

/** `/E` and `/E/{key}` of one entity. */
export function topLevelRoutes(schema: EntitySchema): AdminRoute[] {
  const collection = `/${collectionName(schema)}`;
  return [
    { path: collection, methods: { GET: list(schema), POST: create(schema) } },
    {
      path: `${collection}/{${schema.name}}`,
      methods: { GET: read(schema), PUT: replace(schema), PATCH: modify(schema), DELETE: remove(schema) },
    },
  ];
}

function list(schema: EntitySchema): Operation {
  return {
    describe: {
      summary: `List ${schema.name}, ordered by id`,
      tag: schema.name,
      query: 'tags' in schema.fields ? [...pageParameters, tagsParameter] : pageParameters,
      success: { status: 200, schema: pageOf(rowOf(schema.name)) },
      errors: [400],
    },
    async handle({ workspace, query }) {
      const page = await workspace.entity(schema.name).page({ ...pageBounds(query), ...tagsFilter(schema, query) });
      return ok(pageBody(page, `/${collectionName(schema)}`, { tags: query.get('tags'), size: query.get('size') }));
    },
  };
}

function create(schema: EntitySchema): Operation {
  return {
    describe: {
      summary: `Create one of ${schema.name}`,
      tag: schema.name,
      body: { required: false, schema: inputOf(schema.name) },
      success: { status: 201, schema: rowOf(schema.name) },
      errors: [400, 409],
    },
    async handle(call) {
      const input = await readInput(call, schema);
      return created(await call.workspace.entity(schema.name).insert(input));
    },
  };
}

function read(schema: EntitySchema): Operation {
  return {
    describe: {
      summary: `Read one of ${schema.name}`,
      tag: schema.name,
      success: { status: 200, schema: rowOf(schema.name) },
      errors: [400, 404],
    },
    async handle(call) {
      const row = await call.workspace.entity(schema.name).select(rowKey(schema, param(call, schema.name)));
      return row === null ? notFound : tagged(row);
    },
  };
}

function replace(schema: EntitySchema): Operation {
  return {
    describe: {
      summary: `Create or replace one of ${schema.name}`,
      tag: schema.name,
      body: { required: false, schema: inputOf(schema.name) },
      success: { status: 200, schema: rowOf(schema.name) },
      errors: [400, 409, 412],
    },
    async handle(call) {
      const input = await readInput(call, schema);
      const key = rowKey(schema, param(call, schema.name));
      return tagged(await call.workspace.entity(schema.name).upsert(key, input, expectation(call)));
    },
  };
}

function modify(schema: EntitySchema): Operation {
  return {
    describe: {
      summary: `Change fields of one of ${schema.name}`,
      tag: schema.name,
      body: { required: false, schema: patchOf(schema.name) },
      success: { status: 200, schema: rowOf(schema.name) },
      errors: [400, 404, 409, 412],
    },
    async handle(call) {
      const key = rowKey(schema, param(call, schema.name));
      const discriminator = await storedDiscriminator(call, schema, key);
      const input = await readInput(call, schema, discriminator);
      return tagged(await call.workspace.entity(schema.name).update(key, input, expectation(call)));
    },
  };
}

function remove(schema: EntitySchema): Operation {
  return {
    describe: {
      summary: `Delete one of ${schema.name}; also a success when there was none`,
      tag: schema.name,
      success: { status: 204 },
      errors: [400, 412],
    },
    async handle(call) {
      await call.workspace.entity(schema.name).delete(rowKey(schema, param(call, schema.name)), expectation(call));
      return noContent;
    },
  };
}
