import { utf8 } from './canonical.ts';
import type { BundleRow, ObjectRef, TableIndex } from './format.ts';
import { sha256Hex } from './object.ts';
import { placeOf } from './spread.ts';

/** A hashed field as it travels: the lower-case hex SHA-256 of its UTF-8 value. */
export function hashedField(value: string): Promise<string> {
  return sha256Hex(utf8(value));
}

/**
 * A lookup value as the table's rows carry it: its digest where the key is a hashed field, itself elsewhere.
 * Computed once per lookup, then used for the object and for the row.
 */
export async function travellingValue(index: Pick<TableIndex, 'key' | 'hashed'>, value: string): Promise<string> {
  return index.hashed.includes(index.key) ? hashedField(value) : value;
}

/** The object that holds every row found by the travelling value; null when the table has no such row. */
export function objectFor(index: TableIndex, travelling: string): ObjectRef | null {
  return index.objects[placeOf(travelling, index.bits)] ?? null;
}

/**
 * The name of the table that says which rows of `table` have a value in `field`, a field its bundle rule names in `also`.
 * Its rows are `{id, ws_id, <field>}`; rows without a value in that field are not in it.
 */
export function indexTable(table: string, field: string): string {
  return `${table}.${field}`;
}

/** The value a row is spread and found by: a foreign key counts as its id, an unset field as the empty string. */
export function spreadValue(row: BundleRow, key: string): string {
  const value = row[key];
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string') return value.id;
  return '';
}
