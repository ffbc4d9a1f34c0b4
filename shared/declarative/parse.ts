import { entities, entity } from '../entities/registry.ts';
import { withLuaPlugins } from '../lua-plugins/with-lua-plugins.ts';
import { isRecord } from '../record.ts';
import { type Context, completeInsert, withoutAliases } from '../schema/complete.ts';
import { KongError } from '../schema/errors.ts';
import { put } from '../schema/record.ts';
import { referenceErrors } from '../schema/reference.ts';
import type { EntitySchema, FieldErrors } from '../schema/vocabulary.ts';
import { isUuid } from '../uuid.ts';
import type { Document } from './document.ts';
import { deterministicId } from './identity.ts';
import { type DocumentMeta, type Item, placeError, takeApart } from './items.ts';
import { migrateLegacyPath } from './legacy-paths.ts';

/** One entity of a parsed document. */
export interface DeclaredRow {
  /** The row, complete, as Kong answers it. */
  readonly row: Readonly<Record<string, unknown>>;
  /** The fields to write, with id and resolved references: what a store validates and transforms itself. */
  readonly input: Readonly<Record<string, unknown>>;
  /** As written, for entities with ttl: `secondsLeft` says what that comes to. */
  readonly ttl: number | null;
  /** The document itself gives the id; otherwise it was made here. */
  readonly identified: boolean;
}

/** What a document says, complete and checked. */
export interface ParsedConfig {
  readonly meta: DocumentMeta;
  /** Entity name, then id. */
  readonly entities: ReadonlyMap<string, ReadonlyMap<string, DeclaredRow>>;
  /** What the rows were completed with: the plugins in Lua that the document brings are part of it. */
  readonly context: Context;
}

/** The document is well-formed but not a valid configuration. `fields` mirrors the document. */
export class InvalidConfig extends Error {
  override readonly name = 'InvalidConfig';
  readonly fields: FieldErrors;
  /** The document's entities, to tell a nested entity from a nested record. */
  readonly items: readonly Item[];

  constructor(fields: FieldErrors, items: readonly Item[]) {
    super('declarative config is invalid');
    this.fields = fields;
    this.items = items;
  }
}

/**
 * Checks and flattens a document: legacy paths rewritten, ids made (the same for the same document), references
 * resolved by name or id, defaults filled. Throws `InvalidConfig` with every error at once; duplicates and dangling
 * references are looked for only when all entities are valid by themselves, as in Kong. `schemas` are the entities a
 * document may hold, as the router flavour in force has them.
 */
export async function parseDeclarative(
  document: Document,
  context: Context,
  schemas: readonly EntitySchema[] = entities,
): Promise<ParsedConfig> {
  const errors: FieldErrors = {};
  const { meta, items } = takeApart(document, schemas, errors);
  const luaPlugins = items.filter(({ schema }) => schema.name === 'custom_plugins').map(({ input }) => input);
  const own = withLuaPlugins(meta._transform ? context : { ...context, verbatim: true }, luaPlugins);
  if (meta._format_version !== '3.0') rewriteLegacyPaths(items);

  const ids = new Map<Item, string>();
  for (const item of items) ids.set(item, idOf(item, ids, context));
  const index = indexRows(items, ids);

  const declared = new Map<Item, DeclaredRow>();
  const dangling: { item: Item; text: string }[] = [];
  for (const [position, item] of items.entries()) {
    // Of a large document: the thread's other work, such as the heartbeats of data planes, gets its turn.
    if (position % BATCH === BATCH - 1) await new Promise((resolve) => setTimeout(resolve));
    const input = { ...item.input, id: ids.get(item) };
    const wrong = resolveReferences(item, input, index, ids, dangling);
    if (!isAbsent(item.input.id) && typeof item.input.id !== 'string') wrong.id = 'expected a string';
    const row = await complete(item.schema, input, own, wrong);
    if (Object.keys(wrong).length > 0) placeError(errors, item.path, wrong);
    const identified = typeof item.input.id === 'string';
    if (row) declared.set(item, { row, input, ttl: item.ttl, identified });
  }
  if (Object.keys(errors).length > 0) throw new InvalidConfig(errors, items);

  for (const { item, text } of dangling) placeDangling(errors, item, text);
  const result = gather(items, ids, declared, errors);
  if (Object.keys(errors).length > 0) throw new InvalidConfig(errors, items);
  return { meta, entities: result, context: own };
}

/** Rows checked at a time. */
const BATCH = 200;

/** Longer is no ttl in Kong, and earlier is no date: 1973. */
const LONGEST_TTL = 100_000_000;

/**
 * How long a row is to live from now on, by the `ttl` it is declared with: seconds, or the time at which it vanishes, which is what exports
 * have, Kong's too. A row that is late goes soon.
 */
export function secondsLeft(ttl: number | null, now: number): number | null {
  return ttl === null || ttl <= LONGEST_TTL ? ttl : Math.max(1, Math.floor(ttl - now));
}

function rewriteLegacyPaths(items: readonly Item[]): void {
  for (const { schema, input, parent } of items) {
    const place = parent === null || parent.item.parent === null;
    if (schema.name !== 'routes' || !place || !Array.isArray(input.paths)) continue;
    input.paths = input.paths.map((path) => (typeof path === 'string' ? migrateLegacyPath(path) : path));
  }
}

function idOf(item: Item, ids: ReadonlyMap<Item, string>, context: Context): string {
  if (typeof item.input.id === 'string') return asStored(item.input.id);
  const parentId = item.parent && ids.get(item.parent.item);
  const parent =
    item.parent && parentId !== undefined && parentId !== null ? { field: item.parent.field, id: parentId } : null;
  return deterministicId(item.schema, { input: item.input, parent }) ?? context.uuid();
}

/** UUIDs are the same in either case (RFC 9562, 4); rows are found by the lower one. */
function asStored(id: string): string {
  return isUuid(id) ? id.toLowerCase() : id;
}

/** Entity name to the ids of its rows, by id and by the endpoint key where that is unique. */
type RowIndex = ReadonlyMap<string, ReadonlyMap<string, string>>;

function indexRows(items: readonly Item[], ids: ReadonlyMap<Item, string>): RowIndex {
  const index = new Map<string, Map<string, string>>();
  for (const item of items) {
    const id = ids.get(item);
    if (id === undefined) continue;
    let rows = index.get(item.schema.name);
    if (!rows) {
      rows = new Map();
      index.set(item.schema.name, rows);
    }
    rows.set(id, id);
    const name = item.schema.endpoint_key === undefined ? undefined : item.input[item.schema.endpoint_key];
    if (typeof name === 'string' && isReferenceable(item.schema) && !rows.has(name)) rows.set(name, id);
  }
  return index;
}

function isReferenceable(schema: EntitySchema): boolean {
  const field = schema.endpoint_key === undefined ? undefined : schema.fields[schema.endpoint_key];
  return field?.unique === true || field?.unique_across_ws === true;
}

/** Turns references into `{id}` in place; returns what is wrong with them. */
function resolveReferences(
  item: Item,
  input: Record<string, unknown>,
  index: RowIndex,
  ids: ReadonlyMap<Item, string>,
  dangling: { item: Item; text: string }[],
): FieldErrors {
  const wrong: FieldErrors = {};
  for (const [field, definition] of Object.entries(item.schema.fields)) {
    if (definition.type !== 'foreign') continue;
    const value = input[field];
    if (item.parent?.field === field) {
      const id = ids.get(item.parent.item);
      if (isAbsent(value) || named(value, index.get(definition.reference)) === id) {
        input[field] = { id };
        continue;
      }
      // It is of the entity around it, and says that it is of another.
      delete input[field];
      wrong[field] = 'value must be null';
      continue;
    }
    if (isAbsent(value)) continue;
    if (isRecord(value)) {
      const { id } = value;
      if (typeof id !== 'string') wrong[field] = notAReference(definition.reference, value);
      else if (index.get(definition.reference)?.has(asStored(id))) input[field] = { ...value, id: asStored(id) };
      else missing(item, field, id, definition.reference, wrong, dangling);
      continue;
    }
    const id = named(value, index.get(definition.reference));
    if (id !== undefined) input[field] = { id };
    else if (typeof value !== 'string') wrong[field] = 'expected a string';
    else {
      // That it leads nowhere is told once the row is good but for that.
      input[field] = { id: NOBODY };
      missing(item, field, value, definition.reference, wrong, dangling);
    }
  }
  return wrong;
}

const NOBODY = '00000000-0000-0000-0000-000000000000';

/** The id of the row that a reference means, by its name or its id. */
function named(value: unknown, rows: ReadonlyMap<string, string> | undefined): string | undefined {
  const name = isRecord(value) ? value.id : value;
  return typeof name === 'string' ? (rows?.get(name) ?? rows?.get(asStored(name))) : undefined;
}

function notAReference(parent: string, value: Readonly<Record<string, unknown>>): FieldErrors {
  const schema = entity(parent);
  return (schema && referenceErrors(schema, value)) ?? { id: 'missing primary key' };
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null;

function missing(
  item: Item,
  field: string,
  value: string,
  reference: string,
  wrong: FieldErrors,
  dangling: { item: Item; text: string }[],
): void {
  if (item.parent) wrong[field] = 'value must be null';
  else dangling.push({ item, text: `invalid reference '${field}: ${value}' (no such entry in '${reference}')` });
}

/** The complete row, or null with the schema's errors added to `wrong`. */
async function complete(
  schema: EntitySchema,
  input: Readonly<Record<string, unknown>>,
  context: Context,
  wrong: FieldErrors,
): Promise<Readonly<Record<string, unknown>> | null> {
  try {
    return withoutAliases(schema, await completeInsert(schema, input, context), context);
  } catch (error) {
    if (!(error instanceof KongError) || error.code !== 2) throw error;
    // Code 2 always has them.
    for (const [field, text] of Object.entries(error.fields as FieldErrors)) {
      if (!Object.hasOwn(wrong, field)) put(wrong, field, text);
    }
    return null;
  }
}

function placeDangling(errors: FieldErrors, item: Item, text: string): void {
  const name = item.schema.endpoint_key === undefined ? undefined : item.input[item.schema.endpoint_key];
  const position = item.path.at(-1);
  const key =
    typeof name === 'string' ? name : typeof item.input.id === 'string' ? item.input.id : `${Number(position) + 1}`;
  const known = errors[item.schema.name];
  const texts = isRecord(known) && Object.hasOwn(known, key) ? known[key] : undefined;
  placeError(errors, [item.schema.name, key], [...(Array.isArray(texts) ? texts : []), text]);
}

/** Flattens, and reports rows that clash. */
function gather(
  items: readonly Item[],
  ids: ReadonlyMap<Item, string>,
  declared: ReadonlyMap<Item, DeclaredRow>,
  errors: FieldErrors,
): Map<string, Map<string, DeclaredRow>> {
  const result = new Map<string, Map<string, DeclaredRow>>();
  const taken = new Map<string, Set<string>>();
  const claim = (schema: EntitySchema, field: string, value: unknown): boolean => {
    const key = `${schema.name} ${field}`;
    const values = taken.get(key) ?? new Set<string>();
    taken.set(key, values);
    const text = String(value);
    if (values.has(text)) return false;
    values.add(text);
    return true;
  };
  for (const item of items) {
    const id = ids.get(item);
    const row = declared.get(item);
    if (id === undefined || !row) continue;
    const { schema } = item;
    const clash = (field: string, value: unknown) =>
      `uniqueness violation: '${schema.name}' entity with ${field} set to '${value}' already declared`;
    const key = schema.endpoint_key;
    const name = key === undefined ? null : row.row[key];
    if (key !== undefined && name !== null && isReferenceable(schema) && !claim(schema, key, name)) {
      placeError(errors, item.path, clash(key, name));
    } else if (!claim(schema, 'id', id)) {
      placeError(errors, item.path, clash('primary key', id));
    }
    for (const [field, definition] of Object.entries(schema.fields)) {
      const value = row.row[field];
      if (!definition.unique || field === key || value === null || value === undefined) continue;
      if (!claim(schema, field, value)) {
        placeError(errors, [schema.name, typeof name === 'string' ? name : id], clash(field, value));
      }
    }
    let rows = result.get(schema.name);
    if (!rows) {
      rows = new Map();
      result.set(schema.name, rows);
    }
    rows.set(id, row);
  }
  return result;
}
