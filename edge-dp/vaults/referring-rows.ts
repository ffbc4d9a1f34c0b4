import type { BundleRow } from '../../shared/bundle/format.ts';
import { entityReferences, referencesIn } from '../../shared/reference-fields.ts';
import type { ConfigChanges } from '../config/changes.ts';
import { isSentPlugin } from '../plugins/registry.ts';
import type { Secret } from './secret-values.ts';
import { type SecretSource, sourceOf, type Vaults } from './sources.ts';

/** A reference of a row, where it leads, and what it came to when the row was last compiled. */
export interface Reference {
  readonly text: string;
  /** A text: why it leads nowhere. */
  readonly source: SecretSource | { readonly nowhere: Secret };
  readonly compiled: Secret | null;
}

/** A row that refers to vaults, as it travels. */
export interface ReferringRow {
  readonly table: string;
  readonly row: BundleRow;
  readonly references: readonly Reference[];
}

/** What of a config has to do with vaults. Immutable. */
export interface ReferringRows {
  /** By table and id. */
  readonly rows: ReadonlyMap<string, ReferringRow>;
  /** By prefix. */
  readonly vaults: Vaults;
}

export const NO_REFERRING_ROWS: ReferringRows = { rows: new Map(), vaults: new Map() };

/** The tables in which there may be references. */
const TABLES = ['plugins', ...Object.keys(entityReferences)];

/** The same after a change, and the keys of the rows that are new or changed. */
export function afterChanges(
  before: ReferringRows,
  changes: ConfigChanges,
  ownPrefix: string | null,
): { readonly next: ReferringRows; readonly changed: ReadonlySet<string> } {
  const vaults = changedVaults(before.vaults, changes);
  const rows = new Map(before.rows);
  const changed = new Set<string>();
  if (vaults !== before.vaults) {
    for (const [key, { table, row, references }] of rows) {
      const anew = references.map(({ text, compiled }) => ({ ...follow(text, vaults, ownPrefix), compiled }));
      rows.set(key, { table, row, references: anew });
    }
  }
  for (const table of TABLES) {
    for (const id of changes.get(table)?.deletes ?? []) rows.delete(keyOf(table, id));
    for (const row of changes.get(table)?.upserts ?? []) {
      const key = keyOf(table, row.id);
      const references = row.enabled === false ? [] : referencesIn(table, row, isSentPlugin);
      if (references.length === 0) {
        rows.delete(key);
        continue;
      }
      rows.set(key, {
        table,
        row,
        references: references.map((text) => ({ ...follow(text, vaults, ownPrefix), compiled: null })),
      });
      changed.add(key);
    }
  }
  return { next: { rows, vaults }, changed };
}

/** The sources of a row's references that lead somewhere. */
export function sourcesOf({ references }: ReferringRow): readonly SecretSource[] {
  return references.flatMap(({ source }) => ('nowhere' in source ? [] : [source]));
}

function keyOf(table: string, id: string): string {
  return `${table} ${id}`;
}

function follow(text: string, vaults: Vaults, ownPrefix: string | null): Pick<Reference, 'text' | 'source'> {
  const source = sourceOf(text, vaults, ownPrefix);
  return { text, source: typeof source === 'string' ? { nowhere: { value: null, missing: source } } : source };
}

function changedVaults(before: Vaults, changes: ConfigChanges): Vaults {
  const change = changes.get('vaults');
  if (change === undefined) return before;
  const gone = new Set([...change.deletes, ...change.upserts.map(({ id }) => id)]);
  const kept = [...before].filter(([, { id }]) => !gone.has(id));
  return new Map([...kept, ...change.upserts.map((row) => [String(row.prefix), row] as const)]);
}
