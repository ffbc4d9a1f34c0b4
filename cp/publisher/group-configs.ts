import { isDeepStrictEqual } from 'node:util';
import type { ConfigChange, PackedConfig } from './config.ts';
import type { Conflict } from './demands.ts';
import { type Group, groupsOf } from './groups.ts';
import type { PackedTables } from './packed-tables.ts';
import { SelectedTables } from './selection.ts';
import type { Shelf, ShelfUser } from './shelf.ts';

/** What each group gets of a config. One that gets everything costs nothing; another, what its objects differ by. */
export class GroupConfigs {
  readonly #whole: PackedConfig;
  readonly #shelf: Shelf;
  readonly #selected = new Map<string, SelectedTables>();
  #groups: readonly Group[];

  private constructor(whole: PackedConfig, shelf: Shelf) {
    this.#whole = whole;
    this.#shelf = shelf;
    this.#groups = groupsOf(whole.groups);
  }

  static async of(whole: PackedConfig, shelf: Shelf, now: number): Promise<GroupConfigs> {
    const configs = new GroupConfigs(whole, shelf);
    await configs.#select(now);
    return configs;
  }

  /** In the order they are asked in, `default` last. */
  get groups(): readonly Group[] {
    return this.#groups;
  }

  /** What a group gets. Throws `DanglingReferences` while that would not hold together. */
  tables(group: string): PackedTables {
    return this.#selected.get(group)?.tables ?? this.#whole.tables;
  }

  /** What a runtime with these capabilities cannot honour of what a group gets. */
  conflicts(group: string, capabilities: readonly string[]): readonly Conflict[] {
    return this.#selected.get(group)?.conflicts(capabilities) ?? this.#whole.conflicts(capabilities);
  }

  /** Whose objects are in use. */
  *users(): Iterable<ShelfUser> {
    yield* this.#whole.tables.users();
    for (const selected of this.#selected.values()) yield* selected.users();
  }

  /** Does to each what was done to the whole. After it has thrown, the object must not be used any more. */
  async follow(change: ConfigChange, now: number): Promise<void> {
    for (const selected of this.#selected.values()) await selected.follow(change, now);
    this.#groups = groupsOf(this.#whole.groups);
    await this.#select(now);
  }

  async #select(now: number): Promise<void> {
    for (const { name, selection } of this.#groups) {
      if (selection === null) this.#selected.delete(name);
      else if (!isDeepStrictEqual(this.#selected.get(name)?.filter, selection)) {
        this.#selected.set(name, await SelectedTables.of(this.#whole.tables, selection, this.#shelf, now));
      }
    }
    const present = new Set(this.#groups.map(({ name }) => name));
    for (const name of this.#selected.keys()) if (!present.has(name)) this.#selected.delete(name);
  }
}
