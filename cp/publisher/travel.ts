import { createHash } from 'node:crypto';
import type { BundleRow } from '../../shared/bundle/format.ts';
import type { BundleRule } from '../../shared/schema/vocabulary.ts';

/** A table of the bundle: an entity whose rows travel, and how. */
export interface PublishedTable {
  readonly name: string;
  readonly bundle: BundleRule;
  /** Rows of this table vanish by themselves, so that missing ones are no sign of trouble. */
  readonly ttl: boolean;
}

/** The field whose value spreads the rows of a table. */
export function spreadKey(rule: BundleRule): string {
  return rule.mode === 'lazy' ? rule.lookup : 'id';
}

export function hashedFields(rule: BundleRule): readonly string[] {
  return rule.mode === 'lazy' ? (rule.hashed ?? []) : [];
}

/** A row as it leaves this plane: secrets that data planes only compare are replaced by their SHA-256. */
export function travelling(row: BundleRow, rule: BundleRule): BundleRow {
  const hashed = hashedFields(rule);
  if (hashed.length === 0) return row;
  const copy: Record<string, unknown> & { readonly id: string } = { ...row };
  for (const field of hashed) {
    const value = copy[field];
    if (typeof value === 'string') copy[field] = createHash('sha256').update(value, 'utf8').digest('hex');
  }
  return copy;
}
