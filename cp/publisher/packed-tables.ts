import type { BundleRow, Manifest, ObjectName, TableRef } from '../../shared/bundle/format.ts';
import { type Conflict, Demands } from './demands.ts';
import { Names } from './names.ts';
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
  /** Names that rows are referred to by: plugins that are sent with the config, and upstreams. */
  readonly #names = { custom_plugins: new Names('name'), upstreams: new Names('name') };
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

  /** Whether there is a row of this name; upstreams have theirs in a workspace. */
  isNamed(table: 'custom_plugins' | 'upstreams', name: string, workspace?: unknown): boolean {
    return this.#names[table].has(name, workspace);
  }

  /** Whether a row configures the plugin. */
  configures(plugin: string): boolean {
    return this.#configured.has(plugin);
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
