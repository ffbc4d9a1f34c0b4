import { type BundleRow, LIMITS, type ObjectName, type ObjectRef, type TableRef } from '../../shared/bundle/format.ts';
import { spreadValue } from '../../shared/bundle/lookup.ts';
import { gunzip, packObject, parseTableObject } from '../../shared/bundle/object.ts';
import { placeOf } from '../../shared/bundle/spread.ts';
import { capFor, divides, type Leaf, LeafTree, ROOT } from './leaves.ts';
import { PublishRefused } from './refusal.ts';
import type { Shelf } from './shelf.ts';
import { hashedFields, type PublishedTable, spreadKey, travellingRows } from './travel.ts';

/** What a change did: the rows as they were before and as they are now. */
export interface Exchanged {
  readonly before: readonly BundleRow[];
  readonly after: readonly BundleRow[];
}

/** Objects packed at the same time: compression runs on the thread pool. */
const PARALLEL = 4;

/** A row with what it takes to place it. */
interface Placed {
  readonly row: BundleRow;
  readonly place: number;
  /** Of its canonical JSON, which is as long as any other. */
  readonly bytes: number;
}

/**
 * One table as objects. Rows are held only in their compressed objects; a change opens the objects it touches and
 * leaves the others alone. After a method has thrown the table must not be used any more: load it again.
 */
export class PackedTable {
  readonly definition: PublishedTable;
  readonly #shelf: Shelf;
  /** Where each row is, so that a change of its spreading value takes it out of its old object. */
  readonly #placeOfRow = new Map<string, number>();
  #leaves = new LeafTree();
  /** Of all rows. */
  #bytes = 0;
  #cap = capFor(0);
  #index: ObjectName | null = null;
  /** The index is of other objects than these. */
  #outdated = true;

  constructor(definition: PublishedTable, shelf: Shelf) {
    this.definition = definition;
    this.#shelf = shelf;
  }

  get rows(): number {
    return this.#placeOfRow.size;
  }

  /** Every object of the table in its newest version, the index included. */
  *names(): Iterable<ObjectName> {
    if (this.#index !== null) yield this.#index;
    for (const { ref } of this.#leaves) if (ref !== null) yield ref.name;
  }

  /** Whether there is a row with this id. */
  has(id: string): boolean {
    return this.#placeOfRow.has(id);
  }

  /** Fills the empty table with the rows of its entity. */
  load(rows: readonly BundleRow[], now: number): Promise<void> {
    return this.fill(travellingRows(rows, this.definition), now);
  }

  /** Fills the empty table with rows as they travel. */
  async fill(rows: readonly BundleRow[], now: number): Promise<void> {
    const placed = rows.map((row) => this.#placed(row));
    for (const { row, place, bytes } of placed) {
      this.#placeOfRow.set(row.id, place);
      this.#bytes += bytes;
    }
    this.#cap = capFor(this.#bytes);
    await this.#spread(placed, now);
  }

  /** Puts rows of its entity in and takes rows out, by id. The rows returned are as they travel. */
  change(upserts: readonly BundleRow[], deletes: readonly string[], now: number): Promise<Exchanged> {
    const out = [...deletes, ...upserts.map((row) => row.id)];
    return this.exchange(travellingRows(upserts, this.definition), out, now);
  }

  /** Takes rows out, by id, and puts rows in, as they travel. */
  async exchange(after: readonly BundleRow[], out: readonly string[], now: number): Promise<Exchanged> {
    const touched = new Map<Leaf, { gone: Set<string>; rows: Placed[] }>();
    const at = (place: number) =>
      within(touched, this.#leaves.at(place), () => ({ gone: new Set<string>(), rows: [] }));
    for (const id of out) {
      const place = this.#placeOfRow.get(id);
      if (place !== undefined) at(place).gone.add(id);
      this.#placeOfRow.delete(id);
    }
    for (const row of after) {
      const placed = this.#placed(row);
      at(placed.place).rows.push(placed);
      this.#placeOfRow.set(row.id, placed.place);
      this.#bytes += placed.bytes;
    }
    const before: BundleRow[] = [];
    await inParallel(touched, async ([leaf, { gone, rows }]) => {
      for (const placed of await this.#rowsOf(leaf)) {
        if (!gone.has(placed.row.id)) rows.push(placed);
        else {
          before.push(placed.row);
          this.#bytes -= placed.bytes;
        }
      }
    });
    this.#cap = capFor(this.#bytes);
    const packed: Leaf[] = [];
    await inParallel(touched, async ([leaf, { rows }]) => void packed.push(...(await this.#pack(leaf, rows, now))));
    for (const leaf of packed) await this.#unite(leaf, now);
    if (this.#misfits()) await this.#spread(await this.#allRows(), now);
    return { before, after };
  }

  /** Rows by id, as they travel. */
  async read(ids: readonly string[]): Promise<readonly BundleRow[]> {
    const wanted = new Set(ids);
    const leaves = new Set<Leaf>();
    for (const id of ids) {
      const place = this.#placeOfRow.get(id);
      if (place !== undefined) leaves.add(this.#leaves.at(place));
    }
    const found: BundleRow[] = [];
    await inParallel(leaves, async (leaf) => {
      for (const { row } of await this.#rowsOf(leaf)) if (wanted.has(row.id)) found.push(row);
    });
    return found;
  }

  /** The table's line in the manifest; packs a new index when objects changed since the last call. */
  async ref(now: number): Promise<TableRef> {
    if (this.#index === null || this.#outdated) {
      const { bits, objects } = this.#leaves.places();
      const { object, size } = await packObject({
        table: this.definition.name,
        key: spreadKey(this.definition.bundle),
        hashed: hashedFields(this.definition.bundle),
        bits,
        objects,
      });
      if (size > LIMITS.index) throw new PublishRefused(`table '${this.definition.name}': its index has ${size} bytes`);
      this.#shelf.put(object, this, objects);
      if (this.#index !== null && this.#index !== object.name) this.#shelf.retire(this.#index, this, now);
      this.#index = object.name;
      this.#outdated = false;
    }
    return { index: this.#index, rows: this.rows, mode: this.definition.bundle.mode };
  }

  /** Puts rows in the place of a leaf, divided as they have to be; returns the new leaves. */
  async #pack(leaf: Leaf, rows: readonly Placed[], now: number): Promise<Leaf[]> {
    const { depth, prefix, ref: previous } = leaf;
    const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
    this.#outdated = true;
    this.#leaves.delete(leaf);
    if (divides(bytes, depth, this.#cap)) {
      if (previous !== null) this.#shelf.retire(previous.name, this, now);
      const bit = 2 ** depth;
      const half = { depth: depth + 1, ref: null, bytes: 0 };
      const [low, high] = [rows.filter(({ place }) => (place & bit) === 0), rows.filter(({ place }) => place & bit)];
      return [
        ...(await this.#pack({ ...half, prefix }, low, now)),
        ...(await this.#pack({ ...half, prefix: prefix + bit }, high, now)),
      ];
    }
    const ref = rows.length === 0 ? null : await this.#object(rows);
    if (previous !== null && previous.name !== ref?.name) this.#shelf.retire(previous.name, this, now);
    const packed = { depth, prefix, ref, bytes };
    this.#leaves.set(packed);
    return [packed];
  }

  /** Makes one leaf of it and its sibling, and so on, as long as the two are too small to be apart. */
  async #unite(leaf: Leaf, now: number): Promise<void> {
    const sibling = this.#leaves.has(leaf) ? this.#leaves.sibling(leaf) : undefined;
    if (sibling === undefined || divides(leaf.bytes + sibling.bytes, leaf.depth - 1, this.#cap)) return;
    const rows = [...(await this.#rowsOf(leaf)), ...(await this.#rowsOf(sibling))];
    for (const half of [leaf, sibling]) {
      this.#leaves.delete(half);
      if (half.ref !== null) this.#shelf.retire(half.ref.name, this, now);
    }
    const depth = leaf.depth - 1;
    const [united] = await this.#pack({ ...ROOT, depth, prefix: leaf.prefix & (2 ** depth - 1) }, rows, now);
    if (united !== undefined) await this.#unite(united, now);
  }

  /** The bound on the depth has moved, and some leaf is beyond it, or could be divided now: only where many rows are of one value. */
  #misfits(): boolean {
    return [...this.#leaves].some(({ depth, bytes }) => depth > this.#cap || divides(bytes, depth, this.#cap));
  }

  async #spread(rows: readonly Placed[], now: number): Promise<void> {
    for (const { ref } of this.#leaves) if (ref !== null) this.#shelf.retire(ref.name, this, now);
    this.#leaves = new LeafTree();
    await this.#pack(ROOT, rows, now);
  }

  async #object(placed: readonly Placed[]): Promise<ObjectRef> {
    const rows = placed.map(({ row }) => row).sort((a, b) => (a.id < b.id ? -1 : 1));
    const { object, size } = await packObject({ table: this.definition.name, rows });
    if (size > LIMITS.object) throw this.#tooLarge(rows, size);
    this.#shelf.put(object, this);
    return { name: object.name, size };
  }

  #tooLarge(rows: readonly BundleRow[], size: number): PublishRefused {
    const largest = rows.reduce((a, b) => (JSON.stringify(a).length >= JSON.stringify(b).length ? a : b));
    return new PublishRefused(
      `table '${this.definition.name}': an object of ${rows.length} rows has ${size} bytes, more than the ${LIMITS.object} ` +
        `that data planes accept; its largest row is ${largest.id}`,
    );
  }

  #placed(row: BundleRow): Placed {
    const place = placeOf(spreadValue(row, spreadKey(this.definition.bundle)), LIMITS.bits);
    return { row, place, bytes: Buffer.byteLength(JSON.stringify(row)) };
  }

  async #rowsOf({ ref }: Leaf): Promise<readonly Placed[]> {
    if (ref === null) return [];
    const object = this.#shelf.get(ref.name);
    if (object === undefined)
      throw new Error(`table '${this.definition.name}': object ${ref.name} is not on the shelf`);
    const { rows } = parseTableObject(await gunzip(object.gzip, ref.size), this.definition.name);
    return rows.map((row) => this.#placed(row));
  }

  /** All rows, as they travel. */
  async all(): Promise<readonly BundleRow[]> {
    return (await this.#allRows()).map(({ row }) => row);
  }

  async #allRows(): Promise<readonly Placed[]> {
    const rows: Placed[] = [];
    for (const leaf of this.#leaves) rows.push(...(await this.#rowsOf(leaf)));
    return rows;
  }
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
