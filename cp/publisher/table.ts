import { type BundleRow, LIMITS, type ObjectName, type ObjectRef, type TableRef } from '../../shared/bundle/format.ts';
import { spreadValue } from '../../shared/bundle/lookup.ts';
import { gunzip, packObject, parseTableObject } from '../../shared/bundle/object.ts';
import { bitsFor, placeOf } from '../../shared/bundle/spread.ts';
import { PublishRefused } from './refusal.ts';
import type { Shelf } from './shelf.ts';
import { hashedFields, type PublishedTable, spreadKey, travellingRows } from './travel.ts';

/** What a change did: the rows as they were before and as they are now. */
interface Exchanged {
  readonly before: readonly BundleRow[];
  readonly after: readonly BundleRow[];
}

/** Objects packed at the same time: compression runs on the thread pool. */
const PARALLEL = 4;

/**
 * One table as objects. Rows are held only in their compressed objects; a change opens the objects it touches and
 * leaves the others alone. After a method has thrown the table must not be used any more: load it again.
 */
export class PackedTable {
  readonly definition: PublishedTable;
  readonly #shelf: Shelf;
  /** Where each row is, so that a change of its spreading value takes it out of its old object. */
  readonly #placeOfRow = new Map<string, number>();
  #bits = 0;
  #objects: (ObjectRef | null)[] = [null];
  /** Bytes of all row objects before compression. */
  #bytes = 0;
  #index: { readonly name: ObjectName; readonly references: readonly (ObjectRef | null)[] } | null = null;

  constructor(definition: PublishedTable, shelf: Shelf) {
    this.definition = definition;
    this.#shelf = shelf;
  }

  get rows(): number {
    return this.#placeOfRow.size;
  }

  /** Every object of the table in its newest version, the index included. */
  *names(): Iterable<ObjectName> {
    if (this.#index !== null) yield this.#index.name;
    for (const ref of this.#objects) if (ref !== null) yield ref.name;
  }

  /** Fills the empty table with the rows of its entity. */
  async load(rows: readonly BundleRow[], now: number): Promise<void> {
    const carried = travellingRows(rows, this.definition);
    const bytes = carried.reduce((sum, row) => sum + JSON.stringify(row).length, 0);
    await this.#spread(carried, bitsFor(bytes, null), now);
  }

  /** Puts rows of its entity in and takes rows out, by id. The rows returned are as they travel. */
  async change(upserts: readonly BundleRow[], deletes: readonly string[], now: number): Promise<Exchanged> {
    const key = spreadKey(this.definition.bundle);
    const after = travellingRows(upserts, this.definition);
    await this.#makeRoom(after, now);
    const leaving = new Map<number, Set<string>>();
    const arriving = new Map<number, BundleRow[]>();
    for (const id of [...deletes, ...upserts.map((row) => row.id)]) {
      const place = this.#placeOfRow.get(id);
      if (place !== undefined) within(leaving, place, () => new Set<string>()).add(id);
      this.#placeOfRow.delete(id);
    }
    for (const row of after) {
      const place = placeOf(spreadValue(row, key), this.#bits);
      within(arriving, place, () => []).push(row);
      this.#placeOfRow.set(row.id, place);
    }
    const before: BundleRow[] = [];
    await inParallel(new Set([...leaving.keys(), ...arriving.keys()]), async (place) => {
      const gone = leaving.get(place);
      const kept: BundleRow[] = [];
      for (const row of await this.#rowsAt(place)) (gone?.has(row.id) ? before : kept).push(row);
      await this.#pack(place, [...kept, ...(arriving.get(place) ?? [])], now);
    });
    const bits = bitsFor(this.#bytes, this.#bits);
    if (bits !== this.#bits) await this.#spread(await this.#allRows(), bits, now);
    return { before, after };
  }

  /** Rows by id, as they travel. */
  async read(ids: readonly string[]): Promise<readonly BundleRow[]> {
    const wanted = new Set(ids);
    const places = new Set<number>();
    for (const id of ids) {
      const place = this.#placeOfRow.get(id);
      if (place !== undefined) places.add(place);
    }
    const found: BundleRow[] = [];
    await inParallel(places, async (place) => {
      for (const row of await this.#rowsAt(place)) if (wanted.has(row.id)) found.push(row);
    });
    return found;
  }

  /** The table's line in the manifest; packs a new index when objects changed since the last call. */
  async ref(now: number): Promise<TableRef> {
    if (this.#index === null || !sameReferences(this.#index.references, this.#objects)) {
      const references = [...this.#objects];
      const { object, size } = await packObject({
        table: this.definition.name,
        key: spreadKey(this.definition.bundle),
        hashed: hashedFields(this.definition.bundle),
        bits: this.#bits,
        objects: references,
      });
      if (size > LIMITS.index) throw new PublishRefused(`table '${this.definition.name}': its index has ${size} bytes`);
      this.#shelf.put(object, references);
      if (this.#index !== null && this.#index.name !== object.name) this.#shelf.retire(this.#index.name, now);
      this.#index = { name: object.name, references };
    }
    return { index: this.#index.name, rows: this.rows, mode: this.definition.bundle.mode };
  }

  /** Many rows at once (an import) may be more than the present objects can take: they are divided first. */
  async #makeRoom(arriving: readonly BundleRow[], now: number): Promise<void> {
    const known = arriving.filter(({ id }) => this.#placeOfRow.has(id)).length;
    const replaced = known === 0 ? 0 : (known * this.#bytes) / this.#placeOfRow.size;
    const arrivingBytes = arriving.reduce((sum, row) => sum + JSON.stringify(row).length, 0);
    const bits = bitsFor(Math.max(0, this.#bytes + arrivingBytes - replaced), this.#bits);
    if (bits > this.#bits) await this.#spread(await this.#allRows(), bits, now);
  }

  async #spread(rows: readonly BundleRow[], bits: number, now: number): Promise<void> {
    const key = spreadKey(this.definition.bundle);
    const places: BundleRow[][] = Array.from({ length: 2 ** bits }, () => []);
    this.#placeOfRow.clear();
    for (const row of rows) {
      const place = placeOf(spreadValue(row, key), bits);
      places[place]?.push(row);
      this.#placeOfRow.set(row.id, place);
    }
    for (const ref of this.#objects) if (ref !== null) this.#shelf.retire(ref.name, now);
    this.#bits = bits;
    this.#bytes = 0;
    this.#objects = new Array<ObjectRef | null>(2 ** bits).fill(null);
    await inParallel(places.keys(), (place) => this.#pack(place, places[place] ?? [], now));
  }

  async #pack(place: number, rows: readonly BundleRow[], now: number): Promise<void> {
    const previous = this.#objects[place] ?? null;
    let next: ObjectRef | null = null;
    if (rows.length > 0) {
      const sorted = [...rows].sort((a, b) => (a.id < b.id ? -1 : 1));
      const { object, size } = await packObject({ table: this.definition.name, rows: sorted });
      if (size > LIMITS.object) throw this.#tooLarge(sorted, size);
      this.#shelf.put(object);
      next = { name: object.name, size };
    }
    if (previous !== null && previous.name !== next?.name) this.#shelf.retire(previous.name, now);
    this.#bytes += (next?.size ?? 0) - (previous?.size ?? 0);
    this.#objects[place] = next;
  }

  #tooLarge(rows: readonly BundleRow[], size: number): PublishRefused {
    const largest = rows.reduce((a, b) => (JSON.stringify(a).length >= JSON.stringify(b).length ? a : b));
    return new PublishRefused(
      `table '${this.definition.name}': an object of ${rows.length} rows has ${size} bytes, more than the ${LIMITS.object} ` +
        `that data planes accept; its largest row is ${largest.id}`,
    );
  }

  async #rowsAt(place: number): Promise<readonly BundleRow[]> {
    const ref = this.#objects[place] ?? null;
    if (ref === null) return [];
    const object = this.#shelf.get(ref.name);
    if (object === undefined)
      throw new Error(`table '${this.definition.name}': object ${ref.name} is not on the shelf`);
    return parseTableObject(await gunzip(object.gzip, ref.size), this.definition.name).rows;
  }

  async #allRows(): Promise<readonly BundleRow[]> {
    const rows: BundleRow[] = [];
    for (const place of this.#objects.keys()) rows.push(...(await this.#rowsAt(place)));
    return rows;
  }
}

function sameReferences(a: readonly (ObjectRef | null)[], b: readonly (ObjectRef | null)[]): boolean {
  return a.length === b.length && a.every((ref, place) => ref?.name === b[place]?.name);
}

function within<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

async function inParallel<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  async function drain(): Promise<void> {
    for (let next = queue.next(); next.done !== true; next = queue.next()) await work(next.value);
  }
  await Promise.all(Array.from({ length: PARALLEL }, drain));
}
