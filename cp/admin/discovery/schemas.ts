import { plugins } from '../../../shared/plugins/registry.ts';
import type { Row } from '../../../shared/record.ts';
import { type Context, validate } from '../../../shared/schema/complete.ts';
import { printSchema } from '../../../shared/schema/print.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import { schemaOf } from '../entity/catalog.ts';
import { readInput } from '../entity/input.ts';
import { type JsonSchema, messageSchema, objectOf, type QueryParameter } from '../openapi/description.ts';
import { message, ok, type Reply } from '../reply.ts';
import { type AdminRoute, type Call, type Operation, param } from '../route.ts';
import { unstoredSchemas } from './unstored-schemas.ts';
import { validationContext } from './validation-context.ts';

const printed: JsonSchema = objectOf({
  fields: { type: 'array', items: { type: 'object' } },
  entity_checks: { type: 'array', items: { type: 'object' } },
});

/**
 * `/schemas/…`: the schemas in Kong's format, and validation without storing anything, which takes plugins that are
 * `enabled` (null: all known ones).
 */
export function schemaRoutes(entities: readonly EntitySchema[], enabled: ReadonlySet<string> | null): AdminRoute[] {
  const context = validationContext(enabled);
  const check = (find: (name: string) => EntitySchema | undefined) => checking(find, context);
  const byName = new Map([...unstoredSchemas, ...entities].map((schema) => [schema.name, schema]));
  return [
    {
      path: '/schemas/{name}',
      methods: {
        GET: show('an entity', 'name', (name, call) => {
          const schema = byName.get(name);
          return schema === undefined
            ? message(404, `No entity named '${name}'`)
            : ok(printSchema(schema, withExtensions(call)));
        }),
      },
    },
    {
      path: '/schemas/{db_entity_name}/validate',
      methods: { POST: check((name) => byName.get(name)) },
    },
    { path: '/schemas/plugins/validate', methods: { POST: check(() => schemaOf('plugins')) } },
    {
      path: '/schemas/plugins/{name}',
      methods: {
        GET: show('a plugin', 'name', async (name, call) => {
          const plugin = plugins.get(name) ?? (await call.luaPlugins.named(name));
          return plugin === undefined
            ? message(404, `No plugin named '${name}'`)
            : ok(printSchema(plugin, withExtensions(call)));
        }),
      },
    },
    { path: '/schemas/vaults/validate', methods: { POST: check(() => schemaOf('vaults')) } },
    {
      path: '/schemas/vaults/{name}',
      methods: {
        GET: show('a vault', 'name', (name, call) => {
          const { subschemas = {} } = schemaOf('vaults');
          const vault = Object.hasOwn(subschemas, name) ? subschemas[name] : undefined;
          return vault === undefined
            ? message(404, `No vault named '${name}'`)
            : ok(printSchema(vault, withExtensions(call)));
        }),
      },
    },
    {
      path: '/schemas/filters/{name}',
      methods: { GET: show('a filter', 'name', (name) => message(404, `Filter '${name}' not found`)) },
    },
  ];
}

/** What a form of everything needs: fields that Kong does not have are left out unless asked for. */
const withExtensions = ({ query }: Call): boolean => query.get('extensions') === 'true';

const extensions: QueryParameter = {
  name: 'extensions',
  description: '`true`: with the fields that Kong does not have.',
  schema: { type: 'string' },
};

function show(
  what: string,
  parameter: string,
  answer: (name: string, call: Call) => Reply | Promise<Reply>,
): Operation {
  return {
    describe: {
      summary: `The schema of ${what}, in Kong’s format`,
      tag: 'schemas',
      query: [extensions],
      success: { status: 200, schema: printed },
      errors: [404],
    },
    handle: (call) => answer(param(call, parameter), call),
  };
}

/** With the plugin in Lua that a row names, if it names one. */
async function withNamedPlugin(context: Context, schema: EntitySchema, { name }: Row, call: Call): Promise<Context> {
  const named = schema.name === 'plugins' && typeof name === 'string' ? await call.luaPlugins.named(name) : undefined;
  if (named === undefined) return context;
  return {
    ...context,
    subschema: (entity, key) => context.subschema(entity, key) ?? (key === name ? named : undefined),
  };
}

function checking(find: (name: string) => EntitySchema | undefined, context: Context): Operation {
  return {
    describe: {
      summary: 'Validate a row without storing it; references and uniqueness are not looked at',
      tag: 'schemas',
      body: { required: false, schema: { type: 'object' } },
      success: { status: 200, schema: messageSchema },
      errors: [400, 404],
    },
    async handle(call) {
      const name = call.params.db_entity_name ?? '';
      const schema = find(name);
      if (schema === undefined) return message(404, `No entity named '${name}'`);
      const input = await readInput(call, schema);
      await validate(schema, input, await withNamedPlugin(context, schema, input, call));
      return message(200, 'schema validation successful');
    },
  };
}
