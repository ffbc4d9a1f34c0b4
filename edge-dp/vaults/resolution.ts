import type { BundleRow } from '../../shared/bundle/format.ts';
import { withoutReferences } from '../../shared/reference-fields.ts';
import type { ConfigChanges, RowSecrets, TableChanges } from '../config/changes.ts';
import type { Env } from '../env.ts';
import { isSentPlugin } from '../plugins/registry.ts';
import { afterChanges, type Reference, type ReferringRow, type ReferringRows, sourcesOf } from './referring-rows.ts';
import { secretStore } from './secret-store.ts';
import { type Secret, SecretValues } from './secret-values.ts';
import { sourceOf } from './sources.ts';

/** A config's changes with the secrets in place of the references, and what is known of those from then on. */
interface Resolved {
  readonly changes: ConfigChanges;
  readonly referring: ReferringRows;
}

/** A reference that could not be followed. */
export interface UnresolvedReference {
  readonly reference: string;
  readonly reason: string;
  /** The table and id of the row that has it. */
  readonly entity: string;
  readonly id: string;
}

/** How many secrets that scripts asked for are kept. */
const ASKED_FOR = 1_000;

/** The vaults of an isolate: what references come to, for config and for scripts. */
export class VaultResolution {
  readonly #values: SecretValues;
  /** For `secret`. */
  readonly #asked: SecretValues;
  readonly #ownPrefix: string | null;
  /** Of the configs in force. */
  #referring: readonly ReferringRows[] = [];
  /** Milliseconds since the epoch: when a secret of the config in force is to be read again. */
  due = Number.POSITIVE_INFINITY;

  constructor(env: Env) {
    const store = secretStore(env);
    this.#values = new SecretValues(store);
    this.#asked = new SecretValues(store);
    this.#ownPrefix = env.SETTINGS.vaultEnvPrefix ?? null;
  }

  /**
   * The changes with secrets in place of references, and with the rows besides whose secrets have changed. Secrets of changed rows are
   * read anew, others when they are due.
   */
  async resolve(before: ReferringRows, changes: ConfigChanges): Promise<Resolved> {
    const { next, changed } = afterChanges(before, changes, this.#ownPrefix);
    if (next.rows.size === 0) return { changes, referring: next };
    const now = Date.now();
    const unread = [...next.rows].flatMap(([key, row]) =>
      sourcesOf(row).filter((source) => changed.has(key) || this.#values.due(source) <= now),
    );
    await this.#values.read(unread);
    const rows = new Map(next.rows);
    const compiled: ReferringRow[] = [];
    for (const [key, row] of next.rows) {
      const references = row.references.map((each) => ({ ...each, compiled: this.#secretOf(each) }));
      const same = references.every((each, at) => each.compiled === row.references[at]?.compiled);
      if (same) continue;
      rows.set(key, { ...row, references });
      compiled.push({ ...row, references });
    }
    return { changes: withSecrets(changes, compiled), referring: { ...next, rows } };
  }

  /** The configs with these rows are in force. */
  settle(...referring: readonly ReferringRows[]): void {
    const before = new Set(this.unresolved.map(asText));
    this.#referring = referring;
    const rows = this.#rows;
    this.#values.keepOnly(rows.flatMap(sourcesOf));
    const stale = rows.some(({ references }) => references.some((each) => each.compiled !== this.#secretOf(each)));
    const dues = rows.flatMap(sourcesOf).map((source) => this.#values.due(source));
    this.due = stale ? 0 : Math.min(Number.POSITIVE_INFINITY, ...dues);
    for (const line of this.unresolved.map(asText)) if (!before.has(line)) console.error(line);
  }

  /** Of all configs in force; one that several have alike is there once. */
  get #rows(): readonly ReferringRow[] {
    const [first, ...others] = this.#referring;
    if (first === undefined) return [];
    const own = [...first.rows.values()];
    return [
      ...own,
      ...others.flatMap(({ rows }) =>
        [...rows].flatMap(([key, row]) => (first.rows.get(key)?.row === row.row ? [] : [row])),
      ),
    ];
  }

  /** How many references the configs in force have. */
  get size(): number {
    return this.#rows.reduce((sum, { references }) => sum + references.length, 0);
  }

  /** Those of the configs in force that could not be followed. */
  get unresolved(): readonly UnresolvedReference[] {
    return this.#rows.flatMap(({ table, row, references }) =>
      references.flatMap(({ text, compiled }) =>
        compiled?.value === null ? [{ reference: text, reason: compiled.missing, entity: table, id: row.id }] : [],
      ),
    );
  }

  /** What a reference comes to, for a script (`kong.vault.get`). */
  async secret(reference: string): Promise<Secret> {
    // Of several configs the first one's vaults go before those that only another has.
    const vaults = new Map(this.#referring.toReversed().flatMap((each) => [...each.vaults]));
    const source = sourceOf(reference, vaults, this.#ownPrefix);
    if (typeof source === 'string') return { value: null, missing: source };
    if (this.#asked.size > ASKED_FOR) this.#asked.clear();
    if (this.#asked.due(source) <= Date.now()) await this.#asked.read([source]);
    return this.#asked.get(source);
  }

  #secretOf({ source }: Reference): Secret {
    return 'nowhere' in source ? source.nowhere : this.#values.get(source);
  }
}

function asText({ reference, reason, entity, id }: UnresolvedReference): string {
  return `${entity} ${id}: ${reference} cannot be resolved: ${reason}`;
}

function withSecrets(changes: ConfigChanges, rows: readonly ReferringRow[]): ConfigChanges {
  if (rows.length === 0) return changes;
  const next = new Map<string, TableChanges>(changes);
  for (const [table, group] of Map.groupBy(rows, (row) => row.table)) {
    const { upserts, deletes } = changes.get(table) ?? { upserts: [], deletes: [] };
    const byId = new Map<string, BundleRow>(upserts.map((row) => [row.id, row]));
    const secrets = new Map<string, RowSecrets>();
    for (const { row, references } of group) {
      const values = new Map(references.map(({ text, compiled }) => [text, compiled]));
      byId.set(
        row.id,
        withoutReferences(table, row, isSentPlugin, (text) => values.get(text)?.value ?? text),
      );
      const missing = references.find(({ compiled }) => compiled?.value === null);
      secrets.set(row.id, {
        references: references.map(({ text }) => text),
        missing: missing === undefined ? null : `${missing.text} cannot be resolved: ${missing.compiled?.missing}`,
      });
    }
    next.set(table, { upserts: [...byId.values()], deletes, secrets });
  }
  return next;
}
