import {
  type BundleRow,
  type Bytes,
  LIMITS,
  type Manifest,
  type ObjectName,
  type ObjectRef,
  type TableIndex,
  type TableRef,
} from '../../shared/bundle/format.ts';
import { parseTableIndex, parseTableObject } from '../../shared/bundle/object.ts';
import type { ConfigChanges, TableChanges } from './changes.ts';
import { inParallel } from './parallel.ts';

/** Reads a verified, inflated object; `limit` in bytes. */
export type ReadObject = (name: ObjectName, limit: number) => Promise<Bytes>;

interface EagerTable {
  readonly mode: 'eager';
  readonly ref: TableRef;
  readonly index: TableIndex;
  /** Kept parsed: the next config is compared with them row by row. */
  readonly rows: ReadonlyMap<ObjectName, readonly BundleRow[]>;
}

interface LazyTable {
  readonly mode: 'lazy';
  readonly ref: TableRef;
  readonly index: TableIndex;
}

type Table = EagerTable | LazyTable;

/** The tables of one manifest, by name. Immutable; what two manifests have in common is shared between them. */
export type Tables = ReadonlyMap<string, Table>;

export const NO_TABLES: Tables = new Map();

/** Objects read at a time: enough to hide the latency of KV, few enough to hold in memory. */
const WIDTH = 6;

/**
 * The tables of `manifest`, given those of an earlier one: only objects the earlier one does not have are read, so the
 * cost is that of the change. Lazy tables get their index only. Throws what `read` and the parsers throw.
 */
export async function readTables(manifest: Pick<Manifest, 'tables'>, from: Tables, read: ReadObject): Promise<Tables> {
  const entries = Object.entries(manifest.tables);
  const tables = await inParallel(entries, WIDTH, async ([name, ref]) => readTable(name, ref, from.get(name), read));
  return new Map(entries.map(([name], position) => [name, tableAt(tables, position)]));
}

function tableAt(tables: readonly Table[], position: number): Table {
  const table = tables[position];
  if (table === undefined) throw new RangeError(`no table at ${position}`);
  return table;
}

async function readTable(name: string, ref: TableRef, before: Table | undefined, read: ReadObject): Promise<Table> {
  if (before !== undefined && before.ref.index === ref.index && before.mode === ref.mode) return { ...before, ref };
  const index = parseTableIndex(await read(ref.index, LIMITS.index), name);
  if (ref.mode === 'lazy') return { mode: 'lazy', ref, index };
  const held = before?.mode === 'eager' ? before.rows : undefined;
  // Several places may have the same object.
  const objects = [
    ...new Map(index.objects.flatMap((object) => (object === null ? [] : [[object.name, object]]))).values(),
  ];
  const parts = await inParallel(
    objects,
    WIDTH,
    async (object): Promise<[ObjectName, readonly BundleRow[]]> => [
      object.name,
      held?.get(object.name) ?? parseTableObject(await read(object.name, object.size), name).rows,
    ],
  );
  return { mode: 'eager', ref, index, rows: new Map(parts) };
}

/** What compiling `to` instead of `from` changes, row by row; looks only into objects the two do not share. */
export function changesBetween(from: Tables, to: Tables): ConfigChanges {
  const changes = new Map<string, TableChanges>();
  for (const name of new Set([...from.keys(), ...to.keys()])) {
    const before = eagerRows(from.get(name));
    const after = eagerRows(to.get(name));
    if (before === after) continue;
    const change = tableChanges(before, after);
    if (change.upserts.length > 0 || change.deletes.length > 0) changes.set(name, change);
  }
  return changes;
}

const NO_ROWS: EagerTable['rows'] = new Map();

function eagerRows(table: Table | undefined): EagerTable['rows'] {
  return table?.mode === 'eager' ? table.rows : NO_ROWS;
}

function tableChanges(before: EagerTable['rows'], after: EagerTable['rows']): TableChanges {
  const gone = new Map<string, BundleRow>();
  for (const [object, rows] of before) {
    if (!after.has(object)) for (const row of rows) gone.set(row.id, row);
  }
  const upserts: BundleRow[] = [];
  for (const [object, rows] of after) {
    if (before.has(object)) continue;
    for (const row of rows) {
      const earlier = gone.get(row.id);
      gone.delete(row.id);
      // Rows are canonical JSON, so equal rows have equal text.
      if (earlier === undefined || JSON.stringify(earlier) !== JSON.stringify(row)) upserts.push(row);
    }
  }
  return { upserts, deletes: [...gone.keys()] };
}

/** Every object the tables consist of, with the most bytes each may inflate to. */
export function* objectsOf(tables: Tables): Generator<ObjectRef & { readonly mode: Table['mode'] }> {
  for (const { ref, index, mode } of tables.values()) {
    yield { name: ref.index, size: LIMITS.index, mode: 'eager' };
    for (const object of index.objects) if (object !== null) yield { ...object, mode };
  }
}
