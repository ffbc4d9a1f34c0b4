import { LIMITS, type ObjectRef } from '../../shared/bundle/format.ts';

/** Bytes of canonical JSON above which an object is divided: halves are about 96 KB, wholes at most this. */
const DIVIDE_ABOVE = 192 << 10;

/** How much deeper than evenly spread rows would lie an object is divided at most: rows of one value cannot be parted. */
const DEEPER = 2;

/** The rows whose place, in `depth` bits, is `prefix`. */
export interface Leaf {
  readonly depth: number;
  readonly prefix: number;
  /** Their object; null where there are none. */
  readonly ref: ObjectRef | null;
  /** Of the canonical JSON of the rows. */
  readonly bytes: number;
}

/** The whole of a table, undivided and empty. */
export const ROOT: Leaf = { depth: 0, prefix: 0, ref: null, bytes: 0 };

/**
 * Where the rows of a table are: a binary tree over the bits of their places, whose leaves are objects. It depends on the
 * rows alone, not on how they came: every control plane of a database, and each after a restart, makes the same objects.
 * A leaf that grows or shrinks past the bound becomes two or one, and all others stay.
 */
export class LeafTree {
  readonly #leaves = new Map<number, Leaf>([[0, ROOT]]);

  [Symbol.iterator](): Iterator<Leaf> {
    return this.#leaves.values();
  }

  has(leaf: Leaf): boolean {
    return this.#leaves.get(keyOf(leaf.depth, leaf.prefix)) === leaf;
  }

  /** The leaf of a place of `LIMITS.bits` bits. */
  at(place: number): Leaf {
    for (let depth = 0; depth <= LIMITS.bits; depth++) {
      const leaf = this.#leaves.get(keyOf(depth, place & (2 ** depth - 1)));
      if (leaf !== undefined) return leaf;
    }
    throw new Error(`no leaf at place ${place}`);
  }

  set(leaf: Leaf): void {
    this.#leaves.set(keyOf(leaf.depth, leaf.prefix), leaf);
  }

  /** Leaves must be put in the place of the one taken out. */
  delete({ depth, prefix }: Leaf): void {
    this.#leaves.delete(keyOf(depth, prefix));
  }

  /** The other half, when it is undivided, of what a leaf is one half of. */
  sibling({ depth, prefix }: Leaf): Leaf | undefined {
    return depth === 0 ? undefined : this.#leaves.get(keyOf(depth, prefix ^ (2 ** (depth - 1))));
  }

  /** One object for each of 2^bits places; those of a leaf that is less deep have the same one. */
  places(): { bits: number; objects: readonly (ObjectRef | null)[] } {
    let bits = 0;
    for (const { depth } of this) bits = Math.max(bits, depth);
    const objects = new Array<ObjectRef | null>(2 ** bits).fill(null);
    for (const { depth, prefix, ref } of this) {
      for (let place = prefix; place < objects.length; place += 2 ** depth) objects[place] = ref;
    }
    return { bits, objects };
  }
}

function keyOf(depth: number, prefix: number): number {
  return depth * 2 ** LIMITS.bits + prefix;
}

/** Whether rows of so many bytes, at such a depth, are to be divided. `cap` is the table's. */
export function divides(bytes: number, depth: number, cap: number): boolean {
  return bytes > DIVIDE_ABOVE && depth < cap;
}

/** The depth below which nothing of a table of so many bytes is divided. */
export function capFor(bytes: number): number {
  let bits = 0;
  while (bytes / 2 ** bits > DIVIDE_ABOVE) bits++;
  return Math.min(bits + DEEPER, LIMITS.bits);
}
