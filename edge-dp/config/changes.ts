import type { BundleRow } from '../../shared/bundle/format.ts';

/** Row-level difference between two configs of one table. */
export interface TableChanges {
  readonly upserts: readonly BundleRow[];
  /** Ids of rows that are gone. */
  readonly deletes: readonly string[];
  /** Of upserts that refer to vaults, by id. Their fields hold the secrets, or the references where there are none. */
  readonly secrets?: ReadonlyMap<string, RowSecrets>;
}

/** What a row has from vaults. */
export interface RowSecrets {
  readonly references: readonly string[];
  /** Why not all of it is there, in words that quote no secret: what needs the row must then fail closed. */
  readonly missing: string | null;
}

/** Difference between two configs, by table name. Eager tables only: lazy rows are looked up, never held. */
export type ConfigChanges = ReadonlyMap<string, TableChanges>;
