import { LIMITS } from '../../shared/bundle/format.ts';
import { LARGEST_RECORD } from '../../shared/cluster/records.ts';
import type { Row } from '../../shared/record.ts';
import { schemaViolation } from '../../shared/schema/errors.ts';
import { identifier, type Session } from './database.ts';
import type { Table } from './table.ts';

/** Bytes of a row as it travels to data planes: an object, which holds its table's name and its workspace besides. */
const MOST_BYTES = LIMITS.object - 1024;

/**
 * Throws a schema violation for a row that no bundle object can hold: once stored, it would keep every later change from all
 * data planes. `text`: the rows' JSON, which is about as long as what travels.
 */
export function refuseUntravelling(table: Table, rows: readonly Row[], text: string): void {
  const { records, bundle } = table.schema;
  if (records === undefined && (!table.logged || bundle === undefined)) return;
  const most = records === undefined ? MOST_BYTES : LARGEST_RECORD;
  // A character takes three bytes at most.
  if (text.length * 3 <= most) return;
  for (const row of rows) {
    const bytes = Buffer.byteLength(JSON.stringify(row));
    if (bytes <= most) continue;
    throw schemaViolation({
      '@entity': [
        `row ${row[table.key]} of '${table.name}' has ${bytes} bytes as it travels to data planes, at most ${most} are taken`,
      ],
    });
  }
}

/** Left of an object for rows that others add at the same time. */
const SPARE_BYTES = 64 << 10;

/**
 * The same for rows that are found by what they refer to, as the ACL groups of a consumer are: all rows of one consumer are
 * in one object.
 */
export async function refuseCrowding(table: Table, rows: readonly Row[], over: Session): Promise<void> {
  const { bundle, fields } = table.schema;
  if (bundle?.mode !== 'lazy' || fields[bundle.lookup]?.type !== 'foreign') return;
  const column = table.columns.find(({ field }) => field === bundle.lookup);
  if (column === undefined) return;
  const added = new Map<string, number>();
  for (const row of rows) {
    const parent = String(row[column.name]);
    added.set(parent, (added.get(parent) ?? 0) + Buffer.byteLength(JSON.stringify(row)));
  }
  const parent = identifier(column.name);
  const key = identifier(table.key);
  const stored = await over.query(
    {
      name: `crowd_of_${table.name}`,
      text: `SELECT t.${parent} AS parent, sum(octet_length(row_to_json(t)::text)) AS bytes FROM ${identifier(table.name)} AS t
        WHERE t.${parent} = ANY ($1::uuid[]) AND t.${key} <> ALL ($2::uuid[]) GROUP BY t.${parent}`,
    },
    [[...added.keys()], rows.map((row) => String(row[table.key]))],
  );
  for (const { parent: id, bytes } of stored) {
    const all = Number(bytes) + (added.get(String(id)) ?? 0);
    if (all > MOST_BYTES - SPARE_BYTES) throw crowded(table, bundle.lookup, String(id), all);
  }
  for (const [id, bytes] of added) if (bytes > MOST_BYTES - SPARE_BYTES) throw crowded(table, bundle.lookup, id, bytes);
}

function crowded({ name }: Table, lookup: string, id: string, bytes: number) {
  const most = MOST_BYTES - SPARE_BYTES;
  return schemaViolation({
    [lookup]: `the ${name} of ${id} have ${bytes} bytes together as they travel to data planes, at most ${most} are taken`,
  });
}
