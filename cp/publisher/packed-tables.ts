import type { BundleRow, Manifest, ObjectName, TableRef } from '../../shared/bundle/format.ts';
import { type Conflict, Demands } from './demands.ts';
import { PublishRefused } from './refusal.ts';
import type { ShelfUser } from './shelf.ts';
import type { Exchanged, PackedTable } from './table.ts';

/** The version the control plane validates a plugin's config against; undefined for a plugin it does not know. */
export type PluginVersion = (plugin: string) => string | undefined;

/** Tables that make up a manifest, with what is to be known of their rows as a whole. */
export class PackedTables {
  readonly #tables = new Map<string, PackedTable>();
  /** How many rows configure a plugin, by its name. */
  readonly #configured = new Map<string, number>();
  /** Names that rows are referred to by, by the id of their rows: plugins that are sent with the config, and upstreams. */
  readonly #names = { custom_plugins: new Names(), upstreams: new Names() };
  readonly #demands = new Demands();

  add(table: PackedTable, rows: readonly BundleRow[]): void {
    const { name } = table.definition;
    this.#tables.set(name, table);
    this.#arrive(name, rows);
  }

  get(name: string): PackedTable | undefined {
    return this.#tables.get(name);
  }

  has(name: string): boolean {
    return this.#tables.has(name);
  }

  [Symbol.iterator](): Iterator<[string, PackedTable]> {
    return this.#tables[Symbol.iterator]();
  }

  /** Whether there is a row of this name. */
  isNamed(table: 'custom_plugins' | 'upstreams', name: string): boolean {
    return this.#names[table].has(name);
  }

  /** Takes note of what was done to a table. */
  exchanged(name: string, { before, after }: Exchanged): void {
    this.#leave(name, before);
    this.#arrive(name, after);
  }

  /** The manifest's tables, by name. Tables without rows are there too: a data plane knows them to be empty. */
  async refs(now: number): Promise<Manifest['tables']> {
    const refs: Record<string, TableRef> = {};
    for (const [name, table] of this.#tables) refs[name] = await table.ref(now);
    return refs;
  }

  /** The manifest's plugins: those that a row configures. */
  plugins(version: PluginVersion): Manifest['plugins'] {
    const plugins: Record<string, string> = {};
    for (const name of [...this.pluginUses().keys()].sort()) {
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

  /** The plugins data planes must have by themselves, as rows configure them: by name, with the number of those rows. */
  pluginUses(): ReadonlyMap<string, number> {
    return new Map([...this.#configured].filter(([name]) => !this.#names.custom_plugins.has(name)));
  }

  /** The rows that a runtime with these capabilities cannot honour. */
  conflicts(capabilities: readonly string[]): readonly Conflict[] {
    return this.#demands.conflicts(capabilities);
  }

  /** Every object of the newest version. */
  *names(): Iterable<ObjectName> {
    for (const table of this.#tables.values()) yield* table.names();
  }

  /** As the shelf knows who uses its objects. */
  users(): readonly ShelfUser[] {
    return [...this.#tables.values()];
  }

  #arrive(table: string, rows: readonly BundleRow[]): void {
    this.#demands.add(table, rows);
    if (table === 'plugins') this.#count(rows, 1);
    if (table === 'custom_plugins' || table === 'upstreams') this.#names[table].add(rows);
  }

  #leave(table: string, rows: readonly BundleRow[]): void {
    this.#demands.remove(table, rows);
    if (table === 'plugins') this.#count(rows, -1);
    if (table === 'custom_plugins' || table === 'upstreams') this.#names[table].remove(rows);
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
  #names: Set<string> | null = null;

  has(name: string): boolean {
    this.#names ??= new Set(this.#byId.values());
    return this.#names.has(name);
  }

  add(rows: readonly BundleRow[]): void {
    for (const { id, name } of rows) this.#byId.set(id, String(name));
    this.#names = null;
  }

  remove(rows: readonly BundleRow[]): void {
    for (const { id } of rows) this.#byId.delete(id);
    this.#names = null;
  }
}
