import { createHash } from 'node:crypto';
import type { BundleRow } from '../../shared/bundle/format.ts';
import type { BundleRule } from '../../shared/schema/vocabulary.ts';
import { withProto } from '../protobuf/travelling-proto.ts';

/** A table of the bundle: an entity whose rows travel, and how; or an index of one, by another field than its own. */
export interface PublishedTable {
  readonly name: string;
  readonly bundle: BundleRule;
  /** Rows of this table vanish by themselves, so that missing ones are no sign of trouble. */
  readonly ttl: boolean;
  /** For an index: the entity whose rows it finds. */
  readonly indexes?: string;
}

/** The entity a table is made of. */
export function entityOf(table: PublishedTable): string {
  return table.indexes ?? table.name;
}

/** The field whose value spreads the rows of a table. */
export function spreadKey(rule: BundleRule): string {
  return rule.mode === 'lazy' ? rule.lookup : 'id';
}

export function hashedFields(rule: BundleRule): readonly string[] {
  return rule.mode === 'lazy' ? (rule.hashed ?? []) : [];
}

/** An entity's rows as they leave this plane in a table. */
export function travellingRows(rows: readonly BundleRow[], table: PublishedTable): readonly BundleRow[] {
  const key = spreadKey(table.bundle);
  const carried = table.indexes === undefined ? rows : rows.flatMap((row) => indexRow(row, key));
  if (table.name === 'plugins') return carried.map(withProto);
  return carried.map((row) => digested(row, table.bundle));
}

/** A row of an index: nothing for a row without a value to be found by. */
function indexRow(row: BundleRow, key: string): BundleRow[] {
  const { id, ws_id, [key]: value } = row;
  if (value === null || value === undefined) return [];
  return [{ id, ...(ws_id !== undefined && { ws_id }), [key]: value }];
}

/** Secrets that data planes only compare are replaced by their SHA-256. */
function digested(row: BundleRow, rule: BundleRule): BundleRow {
  const hashed = hashedFields(rule);
  if (hashed.length === 0) return row;
  if (rule.mode === 'lazy' && rule.unless !== undefined && row[rule.unless] === true) return row;
  const copy: Record<string, unknown> & { readonly id: string } = { ...row };
  for (const field of hashed) {
    const value = copy[field];
    if (typeof value === 'string') copy[field] = createHash('sha256').update(value, 'utf8').digest('hex');
  }
  return copy;
}
