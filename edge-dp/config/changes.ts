import type { BundleRow } from '../../shared/bundle/format.ts';

/** Row-level difference between two configs of one table. */
export interface TableChanges {
  readonly upserts: readonly BundleRow[];
  /** Ids of rows that are gone. */
  readonly deletes: readonly string[];
}

/** Difference between two configs, by table name. Eager tables only: lazy rows are looked up, never held. */
export type ConfigChanges = ReadonlyMap<string, TableChanges>;
