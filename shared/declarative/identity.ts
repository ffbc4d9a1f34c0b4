import type { EntitySchema } from '../schema/vocabulary.ts';
import { uuid5 } from '../uuid5.ts';

/** Kong's root namespace; each entity has its own below it. */
const ROOT_NAMESPACE = 'fd02801f-0957-4a15-a55a-c8d9606f30b5';

const namespaces = new Map<string, string>();

/** What an id is computed from: the row as written, and what encloses it. */
interface IdentitySource {
  readonly input: Readonly<Record<string, unknown>>;
  /** Set for a nested row: the foreign field the parent fills, and the parent's id. */
  readonly parent: { readonly field: string; readonly id: string } | null;
}

/**
 * The id a row without one gets, the same each time the same document is loaded; null where it must be random. It
 * hashes references as they are written, so a plugin at top level and the same one nested have different ids, as in
 * Kong.
 */
export function deterministicId(schema: EntitySchema, source: IdentitySource): string | null {
  if (schema.primary_key.length !== 1 || schema.primary_key[0] !== 'id') return null;
  const name = schema.cache_key ? cacheKeyName(schema, schema.cache_key, source) : endpointName(schema, source);
  if (name === null) return null;
  let namespace = namespaces.get(schema.name);
  if (namespace === undefined) {
    namespace = uuid5(ROOT_NAMESPACE, schema.name);
    namespaces.set(schema.name, namespace);
  }
  return uuid5(namespace, name);
}

function cacheKeyName(
  schema: EntitySchema,
  cacheKey: readonly string[],
  { input, parent }: IdentitySource,
): string | null {
  let name = `${schema.name}:*`;
  for (const part of cacheKey) {
    const field = schema.fields[part];
    if (field?.auto) return null;
    const value = input[part];
    if (value === undefined) {
      if (part === parent?.field) name += `:${parent.id}`;
      else if (field?.required) return null;
      // A row without it has the id it has in Kong.
      else if (field?.extension !== true) name += ':';
    } else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      name += `:${value}`;
    }
  }
  return name;
}

function endpointName(schema: EntitySchema, { input, parent }: IdentitySource): string | null {
  const field = schema.endpoint_key === undefined ? undefined : schema.fields[schema.endpoint_key];
  const value = schema.endpoint_key === undefined ? undefined : input[schema.endpoint_key];
  if (!field || typeof value !== 'string') return null;
  if (field.unique) return value;
  let name = value;
  for (const [other, definition] of Object.entries(schema.fields)) {
    if (definition.type !== 'foreign' || definition.on_delete !== 'cascade') continue;
    const reference = other === parent?.field ? parent.id : input[other];
    if (typeof reference === 'string') name += `:${reference}`;
  }
  return field.unique_across_ws ? name : `${name}:*`;
}
