import type { BundleRow } from '../../shared/bundle/format.ts';
import { entity as entitySchema } from '../../shared/entities/registry.ts';
import { isRecord } from '../../shared/record.ts';
import { passesTagFilter, type TagFilter } from '../../shared/tag-filter.ts';
import type { ConfigChange } from './config.ts';
import type { Conflict } from './demands.ts';
import { Names } from './names.ts';
import { PackedTables } from './packed-tables.ts';
import { PublishRefused } from './refusal.ts';
import type { Shelf } from './shelf.ts';
import { PackedTable } from './table.ts';

/** References that lead nowhere which are named in one line. */
const MOST_NAMED = 5;
/** Of those, as many are looked for. */
const MOST_COUNTED = 1000;

/** The selection of a group leaves references that lead nowhere. */
export class DanglingReferences extends PublishRefused {}

/**
 * The part of the config that a group's tags select. It follows the whole row by row; where a row that was there before goes
 * in or out, which may take others along, or one that is not selected comes by a name that is referred to, the part is made anew.
 */
export class SelectedTables {
  readonly filter: TagFilter;
  readonly #whole: PackedTables;
  readonly #shelf: Shelf;
  #tables = new PackedTables();
  /** Of the selected services: each may be the name of an upstream. */
  #hosts = new Names('host');
  #dangling: string[] = [];

  private constructor(whole: PackedTables, filter: TagFilter, shelf: Shelf) {
    this.#whole = whole;
    this.filter = filter;
    this.#shelf = shelf;
  }

  /** What `filter` selects of the whole. Costs as much as the whole config has rows. */
  static async of(whole: PackedTables, filter: TagFilter, shelf: Shelf, now: number): Promise<SelectedTables> {
    const selected = new SelectedTables(whole, filter, shelf);
    await selected.#rebuild(now);
    return selected;
  }

  /** Throws `DanglingReferences` while what is selected refers to what is not. */
  get tables(): PackedTables {
    if (this.#dangling.length === 0) return this.#tables;
    const more = this.#dangling.length - MOST_NAMED;
    const rest = more <= 0 ? '' : `; and ${this.#dangling.length >= MOST_COUNTED ? 'many' : more} more`;
    throw new DanglingReferences(`${this.#dangling.slice(0, MOST_NAMED).join('; ')}${rest}`);
  }

  conflicts(capabilities: readonly string[]): readonly Conflict[] {
    return this.#tables.conflicts(capabilities);
  }

  /** Whose objects are in use. */
  users(): readonly object[] {
    return this.#tables.users();
  }

  /** Does to the part what was done to the whole. After it has thrown, the object must not be used any more. */
  async follow(change: ConfigChange, now: number): Promise<void> {
    if (change.size === 0) return;
    if (this.#dangling.length > 0 || this.#moves(change) || this.#isReferredTo(change)) {
      await this.#rebuild(now);
      return;
    }
    for (const [name, table] of this.#tables) {
      const exchanged = change.get(name);
      if (exchanged === undefined) continue;
      const out = [...exchanged.before, ...exchanged.after].map(({ id }) => id);
      const own = await table.exchange(this.#selectedOf(name, exchanged.after), out, now);
      this.#tables.exchanged(name, own);
      if (name !== 'services') continue;
      this.#hosts.remove(own.before);
      this.#hosts.add(own.after);
    }
    for (const [name, { after }] of change) this.#check(name, this.#selectedOf(name, after));
  }

  /** Whether a row that is not selected has a name that a selected one refers to. */
  #isReferredTo(change: ConfigChange): boolean {
    const left = (table: string) =>
      (change.get(table)?.after ?? []).filter(({ tags }) => !passesTagFilter(this.filter, tags));
    return (
      left('upstreams').some(({ name, ws_id: workspace }) => this.#hosts.has(String(name), workspace)) ||
      left('custom_plugins').some(({ name }) => this.#tables.configures(String(name)))
    );
  }

  /** Whether a row that the whole had before, and has, goes in or out. */
  #moves(change: ConfigChange): boolean {
    for (const [name, { before, after }] of change) {
      if (!hasTags(name)) continue;
      const earlier = new Set(before.map(({ id }) => id));
      const own = this.#tables.get(name);
      if (after.some((row) => earlier.has(row.id) && own?.has(row.id) !== passesTagFilter(this.filter, row.tags))) {
        return true;
      }
    }
    return false;
  }

  async #rebuild(now: number): Promise<void> {
    this.#tables = new PackedTables();
    this.#hosts = new Names('host');
    this.#dangling = [];
    const selected: (readonly [string, readonly BundleRow[]])[] = [];
    for (const [name, whole] of this.#whole) {
      const table = new PackedTable(whole.definition, this.#shelf);
      const rows = this.#selectedOf(name, await whole.all());
      await table.fill(rows, now);
      this.#tables.add(table, rows);
      if (name === 'services') this.#hosts.add(rows);
      selected.push([name, rows]);
    }
    for (const [name, rows] of selected) this.#check(name, rows);
  }

  /** Of rows of a table, those that are selected: by their tags, or, where they have none, by what they refer to or stand for. */
  #selectedOf(name: string, rows: readonly BundleRow[]): readonly BundleRow[] {
    if (hasTags(name)) return rows.filter(({ tags }) => passesTagFilter(this.filter, tags));
    const indexed = this.#whole.get(name)?.definition.indexes;
    if (indexed !== undefined) return rows.filter(({ id }) => this.#tables.get(indexed)?.has(id) === true);
    const references = referencesOf(name);
    return rows.filter((row) => references.every((reference) => this.#leads(row, reference)));
  }

  #check(name: string, rows: readonly BundleRow[]): void {
    if (this.#whole.get(name)?.definition.indexes !== undefined) return;
    const references = referencesOf(name);
    for (const row of rows) {
      if (this.#dangling.length >= MOST_COUNTED) return;
      for (const reference of references) {
        if (!this.#leads(row, reference)) this.#complain(name, row, `${reference.to} ${idIn(row[reference.field])}`);
      }
      for (const id of name === 'services' && Array.isArray(row.ca_certificates) ? row.ca_certificates : []) {
        if (this.#tables.get('ca_certificates')?.has(String(id)) === false)
          this.#complain(name, row, `ca_certificates ${id}`);
      }
      if (name === 'services') this.#checkNamed(name, row, 'upstreams', row.host);
      if (name === 'plugins') this.#checkNamed(name, row, 'custom_plugins', row.name);
    }
  }

  /** Where a row refers to another by its name. */
  #checkNamed(table: string, row: BundleRow, to: 'upstreams' | 'custom_plugins', name: unknown): void {
    const workspace = to === 'upstreams' ? row.ws_id : undefined;
    if (typeof name !== 'string' || this.#tables.isNamed(to, name, workspace)) return;
    if (!this.#whole.isNamed(to, name, workspace)) return;
    this.#complain(table, row, `${to} '${name}'`);
  }

  #complain(table: string, row: BundleRow, to: string): void {
    const named = typeof row.name === 'string' ? ` (${row.name})` : '';
    this.#dangling.push(`${table} ${row.id}${named} refers to ${to}, which the group does not select`);
  }

  /** Whether a reference leads to a row that is selected too, or nowhere at all. */
  #leads(row: BundleRow, { field, to }: Reference): boolean {
    const id = idIn(row[field]);
    return id === null || this.#tables.get(to)?.has(id) !== false;
  }
}

interface Reference {
  readonly field: string;
  readonly to: string;
}

function hasTags(name: string): boolean {
  return Object.hasOwn(entitySchema(name)?.fields ?? {}, 'tags');
}

function referencesOf(name: string): readonly Reference[] {
  return Object.entries(entitySchema(name)?.fields ?? {}).flatMap(([field, rule]) =>
    rule.type === 'foreign' ? [{ field, to: rule.reference }] : [],
  );
}

function idIn(value: unknown): string | null {
  return isRecord(value) && typeof value.id === 'string' ? value.id : null;
}
