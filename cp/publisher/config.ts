import type { BundleRow, Manifest, ObjectName, TableRef } from '../../shared/bundle/format.ts';
import type { ChangeFeed, Delta } from '../store/store.ts';
import { type Conflict, Demands } from './demands.ts';
import { DisabledRows, type RowChanges } from './disabled.ts';
import { PublishRefused } from './refusal.ts';
import type { Shelf } from './shelf.ts';
import { PackedTable } from './table.ts';
import { entityOf, type PublishedTable } from './travel.ts';

/** The version the control plane validates a plugin's config against; undefined for a plugin it does not know. */
export type PluginVersion = (plugin: string) => string | undefined;

/**
 * The whole config as packed tables. After a method has thrown, the object must not be used any more: load a new one.
 */
export class PackedConfig {
  #serial = 0;
  #commit: string | null | undefined;
  readonly #tables = new Map<string, PackedTable>();
  readonly #disabled = new DisabledRows();
  /** How many published rows configure a plugin, by its name. */
  readonly #configured = new Map<string, number>();
  /** Names of the plugins that are sent with the config, by the id of their rows. */
  readonly #sent = new Names();
  readonly #demands = new Demands();

  /** Reads and packs everything in the database. */
  static async load(
    feed: Pick<ChangeFeed, 'snapshot'>,
    definitions: readonly PublishedTable[],
    shelf: Shelf,
    now: number,
  ): Promise<PackedConfig> {
    const snapshot = await feed.snapshot([...new Set(definitions.map(entityOf))]);
    const everything: RowChanges = new Map();
    for (const definition of definitions) everything.set(entityOf(definition), { upserts: [], deletes: [] });
    for await (const { entity, row } of snapshot.rows) everything.get(entity)?.upserts.push(row);
    const config = new PackedConfig();
    config.#serial = snapshot.serial;
    config.#commit = snapshot.commit;
    const visible = await config.#disabled.filter(everything, async () => []);
    for (const definition of definitions) {
      const table = new PackedTable(definition, shelf);
      const rows = visible.get(entityOf(definition))?.upserts ?? [];
      await table.load(rows, now);
      config.#tables.set(definition.name, table);
      config.#arrive(definition.name, rows);
    }
    return config;
  }

  get serial(): number {
    return this.#serial;
  }

  /** By which the database knows whether it still is the one this was read from. */
  get commit(): string | null | undefined {
    return this.#commit;
  }

  /** Rows of the entities that do not lose rows by themselves, those of disabled services included. */
  get lastingRows(): number {
    let rows = this.#disabled.size;
    for (const { definition, rows: own } of this.#tables.values()) {
      if (!definition.ttl && definition.indexes === undefined) rows += own;
    }
    return rows;
  }

  /** Applies what changed; costs as much as the objects that hold the changed rows. */
  async advance(delta: Delta, now: number): Promise<void> {
    const read = async (table: string, ids: readonly string[]) => (await this.#tables.get(table)?.read(ids)) ?? [];
    const changes = await this.#disabled.filter(rowChanges(delta, this.#tables), read);
    for (const [name, table] of this.#tables) {
      const changed = changes.get(entityOf(table.definition));
      if (changed === undefined) continue;
      const exchanged = await table.change(changed.upserts, changed.deletes, now);
      this.#leave(name, exchanged.before);
      this.#arrive(name, exchanged.after);
    }
    this.#serial = delta.serial;
    this.#commit = delta.commit;
  }

  /** The manifest's tables, by name. Tables without rows are there too: a data plane knows them to be empty. */
  async refs(now: number): Promise<Manifest['tables']> {
    const refs: Record<string, TableRef> = {};
    for (const [name, table] of this.#tables) refs[name] = await table.ref(now);
    return refs;
  }

  /** The manifest's plugins: those that a published row configures. */
  plugins(version: PluginVersion): Manifest['plugins'] {
    const plugins: Record<string, string> = {};
    for (const name of [...this.#configured.keys()].sort()) {
      // It comes with the config.
      if (this.#sent.has(name)) continue;
      const known = version(name);
      if (known === undefined) {
        throw new PublishRefused(
          `plugin '${name}' is configured, but this control plane does not know it; delete its configuration, or run ` +
            'the version that it was configured with',
        );
      }
      plugins[name] = known;
    }
    return plugins;
  }

  /** The plugins data planes must have by themselves, as published rows configure them: by name, with the number of those rows. */
  pluginUses(): ReadonlyMap<string, number> {
    return new Map([...this.#configured].filter(([name]) => !this.#sent.has(name)));
  }

  /** The published rows that a runtime with these capabilities cannot honour. */
  conflicts(capabilities: readonly string[]): readonly Conflict[] {
    return this.#demands.conflicts(capabilities);
  }

  /** Every object of the newest version. */
  *names(): Iterable<ObjectName> {
    for (const table of this.#tables.values()) yield* table.names();
  }

  #arrive(table: string, rows: readonly BundleRow[]): void {
    this.#demands.add(table, rows);
    if (table === 'plugins') this.#count(rows, 1);
    if (table === 'custom_plugins') this.#sent.add(rows);
  }

  #leave(table: string, rows: readonly BundleRow[]): void {
    this.#demands.remove(table, rows);
    if (table === 'plugins') this.#count(rows, -1);
    if (table === 'custom_plugins') this.#sent.remove(rows);
  }

  #count(rows: readonly BundleRow[], by: 1 | -1): void {
    for (const row of rows) {
      const name = String(row.name);
      const count = (this.#configured.get(name) ?? 0) + by;
      if (count > 0) this.#configured.set(name, count);
      else this.#configured.delete(name);
    }
  }
}

/** Names of rows, each of which may be another's by the time the first lets go of it. */
class Names {
  readonly #byId = new Map<string, string>();
  #names = new Set<string>();

  has(name: string): boolean {
    return this.#names.has(name);
  }

  add(rows: readonly BundleRow[]): void {
    for (const { id, name } of rows) this.#byId.set(id, String(name));
    this.#names = new Set(this.#byId.values());
  }

  remove(rows: readonly BundleRow[]): void {
    for (const { id } of rows) this.#byId.delete(id);
    this.#names = new Set(this.#byId.values());
  }
}

/** The log's entries as rows to put in and ids to take out; tables that are not published are left aside. */
function rowChanges(delta: Delta, published: ReadonlyMap<string, unknown>): RowChanges {
  const changes: RowChanges = new Map();
  for (const [entity, ids] of changedIds(delta)) {
    if (!published.has(entity)) continue;
    const upserts = [...(delta.rows.get(entity) ?? [])];
    const present = new Set(upserts.map((row) => row.id));
    changes.set(entity, { upserts, deletes: [...ids.keys()].filter((id) => !present.has(id)) });
  }
  return changes;
}

/** By entity, each changed row's id with the last thing that happened to it. */
export function changedIds(
  delta: Delta,
): ReadonlyMap<string, ReadonlyMap<string, Delta['changes'][number]['operation']>> {
  const changed = new Map<string, Map<string, Delta['changes'][number]['operation']>>();
  for (const { entity, id, operation } of delta.changes) {
    const ids = changed.get(entity);
    if (ids === undefined) changed.set(entity, new Map([[id, operation]]));
    else ids.set(id, operation);
  }
  return changed;
}
