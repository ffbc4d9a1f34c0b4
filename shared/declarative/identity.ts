import { sha1 } from '@noble/hashes/legacy.js';

import type { EntitySchema } from '../schema/vocabulary.ts';

/** Kong's root namespace; each entity has its own below it. */
const ROOT_NAMESPACE = 'fd02801f-0957-4a15-a55a-c8d9606f30b5';

const namespaces = new Map<string, string>();

/** UUID version 5 (RFC 9562): SHA-1 of namespace and name. */
function uuid5(namespace: string, name: string): string {
  const digits = namespace.replaceAll('-', '');
  const space = Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
  const text = new TextEncoder().encode(name);
  const input = new Uint8Array(space.length + text.length);
  input.set(space);
  input.set(text, space.length);
  const bytes = sha1(input).slice(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

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
      else name += ':';
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
