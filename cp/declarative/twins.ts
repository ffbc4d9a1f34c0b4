import type { DeclaredRow } from '../../shared/declarative/parse.ts';
import { isRecord, type Row } from '../../shared/record.ts';
import { type Context, withoutAliases } from '../../shared/schema/complete.ts';
import type { Table } from '../store/table.ts';
import { sameRow } from './same-row.ts';
import { declaredKeys, uniqueKeys } from './unique-keys.ts';

/**
 * Pairs the rows a document declares of one entity with those that are stored. A row whose id the document gives is that
 * row. One without is the stored row that has its name, or another of its unique keys; failing that the row of the id made
 * from its name; one that has no unique key at all is a stored row of the same content.
 */
export class Twins {
  readonly #table: Table;
  readonly #context: Context;
  readonly #declared: readonly DeclaredRow[];
  readonly #byId: ReadonlyMap<string, DeclaredRow>;
  readonly #byKey = new Map<string, DeclaredRow>();
  readonly #byContent = new Map<string, DeclaredRow[]>();
  /** Stored rows the document has to do with: by their id, what they are unique by, or all they say. */
  readonly #stored = new Map<string, Row>();
  readonly #twins = new Map<DeclaredRow, Row>();
  readonly #taken = new Set<string>();
  readonly #hints: ReadonlyMap<string, DeclaredRow>;

  /** `hints`: by the id of a stored row, the declared one that most likely is it, should nothing else tell. */
  constructor(
    table: Table,
    declared: readonly DeclaredRow[],
    context: Context,
    hints: ReadonlyMap<string, DeclaredRow>,
  ) {
    this.#table = table;
    this.#context = context;
    this.#declared = declared;
    this.#hints = hints;
    this.#byId = new Map(declared.map((row) => [String(row.row.id), row]));
    for (const row of declared) {
      const keys = declaredKeys(table, row).filter((key) => key !== null);
      for (const key of keys) if (!this.#byKey.has(key)) this.#byKey.set(key, row);
      if (keys.length > 0 || row.identified) continue;
      const content = this.#contentOf(row.row);
      this.#byContent.set(content, [...(this.#byContent.get(content) ?? []), row]);
    }
  }

  /** Whether any stored row may turn out to be a declared one, not only one of the same id or of the same unique key. */
  get mayBeAny(): boolean {
    return this.#byContent.size > 0 || this.#hints.size > 0;
  }

  /** Takes note of a stored row; all are to be met before `decide`. False when the document has nothing to do with it. */
  meet(stored: Row): boolean {
    const id = String(stored.id);
    const concerned =
      this.#byId.has(id) ||
      this.#hints.has(id) ||
      uniqueKeys(this.#table, stored).some((key) => key !== null && this.#byKey.has(key)) ||
      (this.#byContent.size > 0 && this.#byContent.has(this.#contentOf(stored)));
    if (concerned) this.#stored.set(id, stored);
    return concerned;
  }

  async decide(): Promise<void> {
    for (const row of this.#declared) {
      if (!row.identified) continue;
      const id = String(row.row.id);
      this.#taken.add(id);
      const stored = this.#stored.get(id);
      if (stored !== undefined) this.#twins.set(row, stored);
    }
    this.#pairByKeys();
    await this.#pairByContent();
    for (const [id, row] of this.#hints) {
      const stored = this.#stored.get(id);
      if (stored !== undefined) this.#pair(row, stored);
    }
  }

  /** Names first, over all rows: they are a better claim than what else is unique. */
  #pairByKeys(): void {
    const all = [...this.#stored.values()].map((stored) => ({ stored, keys: uniqueKeys(this.#table, stored) }));
    for (let place = 0; place < this.#table.uniques.length; place++) {
      for (const { stored, keys } of all) {
        const row = this.#byKey.get(keys[place] ?? '');
        if (row !== undefined) this.#pair(row, stored);
      }
    }
  }

  async #pairByContent(): Promise<void> {
    if (this.#byContent.size === 0) return;
    for (const stored of this.#stored.values()) {
      for (const row of this.#byContent.get(this.#contentOf(stored)) ?? []) {
        if (this.#twins.has(row) || this.#taken.has(String(stored.id))) continue;
        if (await sameRow(this.#table.schema, stored, row, this.#context)) this.#pair(row, stored);
      }
    }
  }

  /** Makes the stored row the twin of this one, unless either is spoken for. */
  #pair(row: DeclaredRow, stored: Row): void {
    const id = String(stored.id);
    if (row.identified || this.#twins.has(row) || this.#taken.has(id)) return;
    this.#taken.add(id);
    this.#twins.set(row, stored);
  }

  twinOf(row: DeclaredRow): Row | undefined {
    return this.#twins.get(row);
  }

  /** How many declared rows only their content tells from others, and none that is stored has that. */
  nameless(): number {
    return [...this.#byContent.values()].flat().filter((row) => !this.#twins.has(row)).length;
  }

  /** The id a declared row is to have: given, its twin's, or made. Two rows never get the same. */
  idFor(row: DeclaredRow): string {
    const made = String(row.row.id);
    if (row.identified) return made;
    const own = this.#stored.get(made);
    if (own !== undefined) this.#pair(row, own);
    const twin = this.#twins.get(row);
    if (twin !== undefined) return String(twin.id);
    const id = this.#taken.has(made) ? this.#context.uuid() : made;
    this.#taken.add(id);
    return id;
  }

  /** Ids of the rows met that no declared row turned out to be. */
  left(): string[] {
    return [...this.#stored.keys()].filter((id) => !this.#taken.has(id));
  }

  /** The stored rows that hold what a declared row is to be unique by, each with that row. */
  *held(): Iterable<{ readonly stored: Row; readonly by: DeclaredRow }> {
    for (const stored of this.#stored.values()) {
      for (const key of uniqueKeys(this.#table, stored)) {
        const by = this.#byKey.get(key ?? '');
        if (by !== undefined) yield { stored, by };
      }
    }
  }

  /** Rows of the same content have the same text. What can be made by itself is left out. */
  #contentOf(row: Readonly<Row>): string {
    const { schema, columns } = this.#table;
    const plain = withoutAliases(schema, row, this.#context);
    const counted = columns.filter(({ field }) => schema.fields[field]?.auto !== true);
    return JSON.stringify(
      counted.map(({ field }) => plain[field] ?? null),
      (_, value: unknown) => (isRecord(value) ? Object.fromEntries(Object.entries(value).sort(byName)) : value),
    );
  }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
