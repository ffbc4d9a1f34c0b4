import { plugins } from '../../../shared/plugins/registry.ts';
import type { EntitySchema, Fields, PluginSchema } from '../../../shared/schema/vocabulary.ts';
import { type JsonSchema, messageSchema, objectOf } from './description.ts';
import { type Direction, fieldSchema, recordSchema } from './json-schema.ts';

/** `components.schemas`: each entity as answered, as sent and as patched; each plugin's config; the error bodies. */
export function componentSchemas(
  entities: readonly EntitySchema[],
  luaPlugins: readonly PluginSchema[],
): Record<string, JsonSchema> {
  const all = [...plugins.values(), ...luaPlugins];
  const schemas: Record<string, JsonSchema> = { kong_error: kongError, message: messageSchema };
  for (const schema of entities) {
    schemas[schema.name] = entitySchema(schema, 'row', all);
    schemas[`${schema.name}.input`] = entitySchema(schema, 'input', all);
    schemas[`${schema.name}.patch`] = entitySchema(schema, 'patch', all);
  }
  for (const { name, fields } of all) {
    const { config } = fields;
    schemas[`plugin.${name}`] = config === undefined ? { type: 'object' } : fieldSchema(config, 'input');
  }
  return schemas;
}

function entitySchema(schema: EntitySchema, direction: Direction, all: readonly PluginSchema[]): JsonSchema {
  const record = recordSchema({ ...schema.fields, ...aliases(schema, direction), ...ttl(schema) }, direction);
  if (schema.name !== 'plugins' || direction !== 'input') return record;
  // The config a plugin takes depends on its name.
  const byName = all.map(({ name }) => ({
    properties: { name: { const: name }, config: { $ref: `#/components/schemas/plugin.${name}` } },
  }));
  return { ...record, anyOf: byName };
}

/** Shorthand fields are only ever sent; the row shows what they stand for. */
function aliases(schema: EntitySchema, direction: Direction): Fields {
  if (direction === 'row') return {};
  return Object.fromEntries((schema.shorthand_fields ?? []).map(({ name, field }) => [name, field]));
}

const ttl = (schema: EntitySchema): Fields =>
  schema.ttl === true ? { ttl: { type: 'integer', description: 'Seconds until the row vanishes.' } } : {};

const kongError: JsonSchema = objectOf({
  code: { type: 'integer' },
  name: { type: 'string' },
  message: { type: 'string' },
});
