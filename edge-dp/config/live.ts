import type { BundleRow } from '../../shared/bundle/format.ts';
import type { RequestPath } from '../proxy/request-path.ts';

/** Row-level difference between two configs of one table. */
export interface TableChanges {
  readonly upserts: readonly BundleRow[];
  /** Ids of rows that are gone. */
  readonly deletes: readonly string[];
}

/** Difference between two configs, by table name. Eager tables only: lazy rows are looked up, never held. */
export type ConfigChanges = ReadonlyMap<string, TableChanges>;

/**
 * Rows of lazy tables. Bound to one manifest, so a request that began on a config finishes on it.
 * Throws `ShardUnavailable` when neither memory, KV nor a control plane has the object: the request then fails closed.
 */
export interface LazyTables {
  /** Every row found by the value, of all workspaces. */
  lookupAll(table: string, value: string): Promise<readonly BundleRow[]>;
}

/** The config requests see: one pointer, read once per request, replaced whole. */
export interface LiveConfig {
  /** Null while no config has ever arrived: everything answers 404. */
  readonly serial: number | null;
  readonly configHash: string | null;
  /** Where it came from. */
  readonly source: 'control_plane' | 'cache' | 'declarative' | 'empty';
  readonly path: RequestPath;
  readonly lazy: LazyTables;
}
