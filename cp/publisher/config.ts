import type { BundleRow, Manifest, ObjectName } from '../../shared/bundle/format.ts';
import type { ChangeFeed, Delta } from '../store/store.ts';
import type { Conflict } from './demands.ts';
import { DisabledRows, HIDEABLE, type RowChanges } from './disabled.ts';
import { GatheredRows } from './gathered-rows.ts';
import { PackedTables, type PluginVersion } from './packed-tables.ts';
import type { Shelf } from './shelf.ts';
import { type Exchanged, PackedTable } from './table.ts';
import { entityOf, type PublishedTable } from './travel.ts';

/** The entity that says which groups there are. */
const GROUPS = 'groups';

/** What a delta did to each table. */
export type ConfigChange = ReadonlyMap<string, Exchanged>;

/**
 * The whole config as packed tables, and which groups get what of it. After a method has thrown, the object must not be
 * used any more: load a new one.
 */
export class PackedConfig {
  #serial = 0;
  #commit: string | null | undefined;
  readonly tables = new PackedTables();
  /** The rows of groups, by id. */
  readonly #groups = new Map<string, BundleRow>();
  readonly #disabled = new DisabledRows();

  /** Reads and packs everything in the database. */
  static async load(
    feed: Pick<ChangeFeed, 'snapshot'>,
    definitions: readonly PublishedTable[],
    shelf: Shelf,
    now: number,
  ): Promise<PackedConfig> {
    const entities = [...new Set(definitions.map(entityOf))];
    const snapshot = await feed.snapshot([...entities, GROUPS]);
    const gathered = new Map([...entities, GROUPS].map((name) => [name, new GatheredRows()]));
    // Read to the end before any of it is packed: the database does not keep its view open for somebody who is busy.
    for await (const { entity, row } of snapshot.rows) gathered.get(entity)?.add(row);
    const config = new PackedConfig();
    config.#serial = snapshot.serial;
    config.#commit = snapshot.commit;
    for (const row of gathered.get(GROUPS)?.take() ?? []) config.#groups.set(row.id, row);
    const hideable: RowChanges = new Map();
    for (const name of HIDEABLE) hideable.set(name, { upserts: gathered.get(name)?.take() ?? [], deletes: [] });
    const visible = await config.#disabled.filter(hideable, async () => []);
    for (const entity of entities) {
      // Of one entity after the other: some have a million rows.
      const rows = visible.get(entity)?.upserts ?? gathered.get(entity)?.take() ?? [];
      for (const definition of definitions) {
        if (entityOf(definition) !== entity) continue;
        const table = new PackedTable(definition, shelf);
        await table.load(rows, now);
        config.tables.add(table, rows);
      }
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
    for (const [, { definition, rows: own }] of this.tables) {
      if (!definition.ttl && definition.indexes === undefined) rows += own;
    }
    return rows;
  }

  /** Applies what changed; costs as much as the objects that hold the changed rows. */
  async advance(delta: Delta, now: number): Promise<ConfigChange> {
    const read = async (table: string, ids: readonly string[]) => (await this.tables.get(table)?.read(ids)) ?? [];
    const changes = await this.#disabled.filter(rowChanges(delta, this.tables), read);
    const change = new Map<string, Exchanged>();
    for (const [name, table] of this.tables) {
      const changed = changes.get(entityOf(table.definition));
      if (changed === undefined) continue;
      const exchanged = await table.change(changed.upserts, changed.deletes, now);
      this.tables.exchanged(name, exchanged);
      change.set(name, exchanged);
    }
    this.#changeGroups(delta);
    this.#serial = delta.serial;
    this.#commit = delta.commit;
    return change;
  }

  #changeGroups(delta: Delta): void {
    for (const id of changedIds(delta).get(GROUPS)?.keys() ?? []) this.#groups.delete(id);
    for (const row of delta.rows.get(GROUPS) ?? []) this.#groups.set(row.id, row);
  }

  /** The rows of the groups there are. */
  get groups(): readonly BundleRow[] {
    return [...this.#groups.values()];
  }

  /** The manifest's tables, by name, of a group that gets everything. */
  refs(now: number): Promise<Manifest['tables']> {
    return this.tables.refs(now);
  }

  /** The manifest's plugins: those that a published row configures. */
  plugins(version: PluginVersion): Manifest['plugins'] {
    return this.tables.plugins(version);
  }

  /** The plugins data planes must have by themselves, as published rows configure them: by name, with the number of those rows. */
  pluginUses(): ReadonlyMap<string, number> {
    return this.tables.pluginUses();
  }

  /** The published rows that a runtime with these capabilities cannot honour. */
  conflicts(capabilities: readonly string[]): readonly Conflict[] {
    return this.tables.conflicts(capabilities);
  }

  /** Every object of the newest version. */
  names(): Iterable<ObjectName> {
    return this.tables.names();
  }
}

/** The log's entries as rows to put in and ids to take out; tables that are not published are left aside. */
function rowChanges(delta: Delta, published: { has(entity: string): boolean }): RowChanges {
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
