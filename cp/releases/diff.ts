import { isDeepStrictEqual } from 'node:util';
import {
  type BundleRow,
  LIMITS,
  type Manifest,
  type ObjectName,
  type ObjectRef,
  type PackedObject,
} from '../../shared/bundle/format.ts';
import { gunzip, parseTableIndex, parseTableObject } from '../../shared/bundle/object.ts';
import { entity as entitySchema } from '../../shared/entities/registry.ts';
import type { Row } from '../../shared/record.ts';

/** What is different of one entity. */
export interface EntityChange {
  readonly entity: string;
  readonly id: string;
  readonly name: string | null;
  readonly operation: 'create' | 'update' | 'delete';
  /** Of an update, each field with its values; those of secrets are not told. */
  readonly fields?: Readonly<Record<string, { readonly from: unknown; readonly to: unknown }>>;
}

/** Where objects are had from. */
export type ReadObject = (name: ObjectName) => Promise<PackedObject>;

const MASKED = '***';
/** Fields that hold secrets though Kong's schemas do not say so. */
const SECRET = /secret|password|private|token|(^|_)key$|^handler$/;
/** What changes with every write and says nothing. */
const BOOKKEEPING = new Set(['updated_at', 'ws_id']);

/**
 * What a data plane would get that goes from one manifest to another, entity by entity. Only objects that are not in both are read, so it
 * costs as much as there is different.
 */
export async function differences(from: Manifest, to: Manifest, read: ReadObject): Promise<readonly EntityChange[]> {
  const changes: EntityChange[] = [];
  for (const table of new Set([...Object.keys(from.tables), ...Object.keys(to.tables)])) {
    const [before, after] = [from.tables[table]?.index, to.tables[table]?.index];
    // An index of another table has rows of that one.
    if (before === after || table.includes('.')) continue;
    const [old, fresh] = [await objectsIn(table, before, read), await objectsIn(table, after, read)];
    const rows = await rowsOf(
      table,
      [...old.values()].filter(({ name }) => !fresh.has(name)),
      read,
    );
    const next = await rowsOf(
      table,
      [...fresh.values()].filter(({ name }) => !old.has(name)),
      read,
    );
    for (const [id, row] of next) {
      const earlier = rows.get(id);
      if (earlier === undefined) changes.push({ ...named(table, row), operation: 'create' });
      else {
        const fields = fieldsOf(table, earlier, row);
        // Written again as it was.
        if (Object.keys(fields).length > 0) changes.push({ ...named(table, row), operation: 'update', fields });
      }
    }
    for (const [id, row] of rows) if (!next.has(id)) changes.push({ ...named(table, row), operation: 'delete' });
  }
  return changes;
}

/** The row objects that an index leads to, by name. */
export async function objectsIn(
  table: string,
  index: ObjectName | undefined,
  read: ReadObject,
): Promise<Map<string, ObjectRef>> {
  if (index === undefined) return new Map();
  const { objects } = parseTableIndex(await gunzip((await read(index)).gzip, LIMITS.index), table);
  return new Map(objects.flatMap((ref) => (ref === null ? [] : [[ref.name, ref]])));
}

/** All rows of a table of a manifest, by id. */
export async function rowsIn(manifest: Manifest, table: string, read: ReadObject): Promise<Map<string, BundleRow>> {
  return rowsOf(table, [...(await objectsIn(table, manifest.tables[table]?.index, read)).values()], read);
}

async function rowsOf(table: string, refs: readonly ObjectRef[], read: ReadObject): Promise<Map<string, BundleRow>> {
  const rows = new Map<string, BundleRow>();
  for (const { name, size } of refs) {
    for (const row of parseTableObject(await gunzip((await read(name)).gzip, size), table).rows) rows.set(row.id, row);
  }
  return rows;
}

function named(entity: string, row: BundleRow): Pick<EntityChange, 'entity' | 'id' | 'name'> {
  return { entity, id: row.id, name: nameOf(row) };
}

/** What people know a row by. */
export function nameOf({ name, username, prefix }: Readonly<Row>): string | null {
  const known = name ?? username ?? prefix;
  return typeof known === 'string' ? known : null;
}

/** The fields in which a row of an entity is another than before, secrets masked. */
export function fieldsOf(
  table: string,
  before: Readonly<Row>,
  after: Readonly<Row>,
): NonNullable<EntityChange['fields']> {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return Object.fromEntries(
    [...names].flatMap((field) => {
      const [from, to] = [before[field] ?? null, after[field] ?? null];
      if (BOOKKEEPING.has(field) || isDeepStrictEqual(from, to)) return [];
      const shown = isSecret(table, field)
        ? { from: from === null ? null : MASKED, to: to === null ? null : MASKED }
        : { from: masked(from), to: masked(to) };
      return [[field, shown]];
    }),
  );
}

function isSecret(table: string, field: string): boolean {
  const rule = entitySchema(table)?.fields[field];
  const encrypted = rule !== undefined && 'encrypted' in rule && rule.encrypted === true;
  return encrypted || SECRET.test(field) || field === 'jwk';
}

/** A config without what looks like a secret. */
function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inside]) => [
      name,
      SECRET.test(name) && typeof inside === 'string' ? MASKED : masked(inside),
    ]),
  );
}
