import { entities } from '../entities/registry.ts';
import { put } from '../schema/record.ts';
import type { EntitySchema, FieldError, FieldErrors } from '../schema/vocabulary.ts';
import type { Document } from './document.ts';

/** One entity of a document, wherever it is nested. */
export interface Item {
  readonly schema: EntitySchema;
  /** Its own fields as written: without nested entities, comments and ttl. */
  readonly input: Record<string, unknown>;
  readonly ttl: number | null;
  /** The entity it is nested in, and the foreign field that names it. */
  readonly parent: { readonly item: Item; readonly field: string } | null;
  readonly children: readonly Item[];
  /** Where it stands: keys and zero-based positions from the document's root. */
  readonly path: readonly (string | number)[];
}

/** What surrounds the entities. */
export interface DocumentMeta {
  readonly _format_version: string;
  readonly _transform: boolean;
  readonly _comment: string | null;
  readonly _ignore: readonly unknown[] | null;
}

const FORMAT_VERSIONS = ['1.1', '2.1', '3.0'];

/**
 * Collections of Kong that hold the state of a node or a cluster (its id, its data planes, counters), or the default
 * workspace: `kong config db_export` writes some of them. They are no configuration: passed over.
 */
const STATE = new Set(['parameters', 'clustering_data_planes', 'ratelimiting_metrics']);

/** Reserved keys every entity of a document may carry; they are for people and dropped. */
const ANNOTATIONS = new Set(['_comment', '_ignore']);

/**
 * Takes a document apart into its entities, parents before their children. Structural errors (unknown keys, wrong
 * types, missing version) are put into `errors` at the place where they occur.
 */
export function takeApart(
  document: Document,
  schemas: readonly EntitySchema[],
  errors: FieldErrors,
): { meta: DocumentMeta; items: Item[] } {
  const meta = readMeta(document, errors);
  const declarable = new Map(schemas.flatMap((schema) => (schema.db_export === false ? [] : [[schema.name, schema]])));
  const reading: Reading = { schemas: declarable, items: [], errors };
  for (const [key, value] of Object.entries(document)) {
    if (Object.hasOwn(META_TYPES, key)) continue;
    const schema = declarable.get(key);
    if (!schema) passOver(key, value, errors);
    else collect(schema, value, null, [key], reading);
  }
  return { meta, items: reading.items };
}

/** What decK writes into files for itself. */
const DECK = new Set(['_info', '_konnect', '_workspace', '_plugin_configs']);
const DECKS_OWN = "unknown field: it is decK's own; take it out, or load the file with 'deck gateway sync'";

function passOver(key: string, value: unknown, errors: FieldErrors): void {
  if (key !== 'workspaces' && !STATE.has(key)) {
    put(errors, key, DECK.has(key) ? DECKS_OWN : 'unknown field');
    return;
  }
  if (value === null) return;
  if (!Array.isArray(value)) {
    errors[key] = 'expected an array';
    return;
  }
  value.forEach((element: unknown, position) => {
    const record = typeof element === 'object' && element !== null && !Array.isArray(element);
    if (!record) placeError(errors, [key, position], 'expected a record');
    else if (key === 'workspaces' && (!('name' in element) || element.name !== 'default')) {
      placeError(errors, [key, position], 'a document is of one workspace; others are made at /workspaces');
    }
  });
}

/** What is common to a whole document while it is taken apart. */
interface Reading {
  readonly schemas: ReadonlyMap<string, EntitySchema>;
  readonly items: Item[];
  readonly errors: FieldErrors;
}

/** The collections that may be nested in `parent`, by key, with the foreign field that then names the parent. */
export function nestedCollections(parent: string): ReadonlyMap<string, string> {
  let found = nested.get(parent);
  if (!found) {
    const collections = new Map<string, string>();
    for (const schema of entities) {
      if (schema.db_export === false) continue;
      for (const [field, definition] of Object.entries(schema.fields)) {
        if (definition.type === 'foreign' && definition.reference === parent) collections.set(schema.name, field);
      }
    }
    found = collections;
    nested.set(parent, found);
  }
  return found;
}

const nested = new Map<string, ReadonlyMap<string, string>>();

const META_TYPES = { _format_version: 'string', _transform: 'boolean', _comment: 'string', _ignore: 'array' } as const;

function readMeta(document: Document, errors: FieldErrors): DocumentMeta {
  const { _format_version: version = null, _transform: transform = null, _comment: comment = null } = document;
  const ignore = document._ignore ?? null;
  if (version === null) errors._format_version = 'required field missing';
  else if (typeof version !== 'string') errors._format_version = 'expected a string';
  else if (!FORMAT_VERSIONS.includes(version))
    errors._format_version = `expected one of: ${FORMAT_VERSIONS.join(', ')}`;
  if (transform !== null && typeof transform !== 'boolean') errors._transform = 'expected a boolean';
  if (comment !== null && typeof comment !== 'string') errors._comment = 'expected a string';
  if (ignore !== null && !Array.isArray(ignore)) errors._ignore = 'expected an array';
  return {
    _format_version: typeof version === 'string' ? version : '3.0',
    _transform: typeof transform === 'boolean' ? transform : true,
    _comment: typeof comment === 'string' ? comment : null,
    _ignore: Array.isArray(ignore) ? ignore : null,
  };
}

function collect(
  schema: EntitySchema,
  value: unknown,
  parent: Item['parent'],
  path: readonly (string | number)[],
  reading: Reading,
): Item[] {
  if (value === null) return [];
  if (!Array.isArray(value)) {
    placeError(reading.errors, path, 'expected an array');
    return [];
  }
  return value.flatMap((element: unknown, position) => {
    const place = [...path, position];
    if (typeof element !== 'object' || element === null || Array.isArray(element)) {
      placeError(reading.errors, place, 'expected a record');
      return [];
    }
    return [collectOne(schema, { ...element }, parent, place, reading)];
  });
}

function collectOne(
  schema: EntitySchema,
  written: Record<string, unknown>,
  parent: Item['parent'],
  path: readonly (string | number)[],
  reading: Reading,
): Item {
  const collections = nestedCollections(schema.name);
  const input: Record<string, unknown> = {};
  const nestedValues: [string, unknown][] = [];
  let ttl: number | null = null;
  for (const [key, value] of Object.entries(written)) {
    if (ANNOTATIONS.has(key)) continue;
    // A collection wins over a field of its name: `snis` of a certificate are entities here, not names.
    if (collections.has(key)) nestedValues.push([key, value]);
    else if (key === 'ttl' && schema.ttl) {
      if (typeof value === 'number' && value >= 0) ttl = value;
      else if (value !== null) placeError(reading.errors, [...path, 'ttl'], 'expected a number');
    } else put(input, key, value);
  }
  const children: Item[] = [];
  const item: Item = { schema, input, ttl, parent, children, path };
  reading.items.push(item);
  for (const [key, value] of nestedValues) {
    const child = reading.schemas.get(key);
    const field = collections.get(key);
    if (child && field !== undefined) {
      children.push(...collect(child, value, { item, field }, [...path, key], reading));
    }
  }
  return item;
}

/** Writes `error` into the tree that mirrors the document; positions before it in an array become `null` holes. */
export function placeError(errors: FieldErrors, path: readonly (string | number)[], error: FieldError): void {
  const [key, ...rest] = path;
  if (key !== undefined) put(errors, String(key), withError(errorAt(errors, String(key)), rest, error));
}

function withError(present: FieldError | null, path: readonly (string | number)[], error: FieldError): FieldError {
  const [key, ...rest] = path;
  if (key === undefined) return isRecord(present) && isRecord(error) ? { ...present, ...error } : error;
  if (typeof key === 'string') {
    const record = isRecord(present) ? present : {};
    put(record, key, withError(errorAt(record, key), rest, error));
    return record;
  }
  const list = Array.isArray(present) ? present : [];
  while (list.length < key) list.push(null);
  list[key] = withError(list[key] ?? null, rest, error);
  return list;
}

function errorAt(errors: FieldErrors, key: string): FieldError | null {
  return (Object.hasOwn(errors, key) ? errors[key] : undefined) ?? null;
}

function isRecord(value: FieldError | null): value is FieldErrors {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
