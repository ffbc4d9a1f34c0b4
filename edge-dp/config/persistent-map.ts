/**
 * A map that is never changed: `set` and `delete` give a new one that shares all but O(log n) of the old one's nodes.
 * What lets one changed row of a config of any size cost next to nothing while requests go on reading the old config.
 *
 * A hash array mapped trie (Bagwell, 2001) with 32 branches a level; keys with equal hashes share a bucket.
 */
export class PersistentMap<V> {
  readonly size: number;
  readonly #root: Branch<V>;

  private constructor(root: Branch<V>, size: number) {
    this.#root = root;
    this.size = size;
  }

  static empty<V>(): PersistentMap<V> {
    return new PersistentMap<V>({ kind: 'branch', bitmap: 0, children: [], madeIn: null }, 0);
  }

  get(key: string): V | undefined {
    const hash = hashOf(key);
    let branch = this.#root;
    for (let shift = 0; ; shift += BITS) {
      const bit = 1 << ((hash >>> shift) & MASK);
      if ((branch.bitmap & bit) === 0) return undefined;
      const child = branch.children[place(branch.bitmap, bit)];
      if (child === undefined) return undefined;
      if (child.kind === 'branch') {
        branch = child;
        continue;
      }
      for (let leaf: Leaf<V> | null = child; leaf !== null; leaf = leaf.others) if (leaf.key === key) return leaf.value;
      return undefined;
    }
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  set(key: string, value: V): PersistentMap<V> {
    const batch: Batch = { added: 0 };
    return this.#with(insert(this.#root, 0, hashOf(key), key, value, batch), batch);
  }

  /** All of them; what is made for one is changed in place for the next. */
  setAll(entries: ReadonlyMap<string, V>): PersistentMap<V> {
    const batch: Batch = { added: 0 };
    let root = this.#root;
    // Thousands at a time: nothing is made for an entry that is not kept.
    entries.forEach((value, key) => {
      root = insert(root, 0, hashOf(key), key, value, batch);
    });
    return this.#with(root, batch);
  }

  #with(root: Branch<V>, { added }: Batch): PersistentMap<V> {
    return root === this.#root ? this : new PersistentMap(root, this.size + added);
  }

  delete(key: string): PersistentMap<V> {
    const root = remove(this.#root, 0, hashOf(key), key);
    return root === this.#root ? this : new PersistentMap(root, this.size - 1);
  }

  *entries(): IterableIterator<readonly [string, V]> {
    yield* walk(this.#root);
  }

  *values(): IterableIterator<V> {
    for (const [, value] of walk(this.#root)) yield value;
  }
}

const BITS = 5;
const MASK = 31;

/** Entries that are set together: a branch made for one of them is nobody else's yet. */
interface Batch {
  /** Keys that were not there. */
  added: number;
}

interface Branch<V> {
  readonly kind: 'branch';
  /** Which of the 32 places are taken; `children` holds only those. */
  readonly bitmap: number;
  readonly children: readonly (Branch<V> | Leaf<V>)[];
  /** Null: it may be part of any map. */
  readonly madeIn: Batch | null;
}

interface OwnBranch<V> extends Branch<V> {
  bitmap: number;
  children: (Branch<V> | Leaf<V>)[];
}

interface Leaf<V> {
  readonly kind: 'leaf';
  readonly hash: number;
  readonly key: string;
  readonly value: V;
  /** More with the same hash, which is rare; null: there are none. */
  readonly others: Leaf<V> | null;
}

/**
 * FNV-1a with a final mix: the low bits choose the branch, so they must depend on the whole key. 30 bits are six levels, and a
 * number that V8 allocates nothing for.
 */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) & 0x3fffffff;
}

/** Index in `children` of the place that `bit` stands for: the number of taken places below it. */
function place(bitmap: number, bit: number): number {
  let below = bitmap & (bit - 1);
  below -= (below >>> 1) & 0x55555555;
  below = (below & 0x33333333) + ((below >>> 2) & 0x33333333);
  return Math.imul((below + (below >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function insert<V>(branch: Branch<V>, shift: number, hash: number, key: string, value: V, batch: Batch): Branch<V> {
  const own = editable(branch, batch);
  const bit = 1 << ((hash >>> shift) & MASK);
  const at = place(own.bitmap, bit);
  const child = own.children[at];
  if ((own.bitmap & bit) === 0 || child === undefined) {
    batch.added += 1;
    // Of the very length: what grows by itself takes room in advance, which thousands of branches would never use.
    own.children = own.children.toSpliced(at, 0, { kind: 'leaf', hash, key, value, others: null });
    own.bitmap |= bit;
  } else {
    own.children[at] = insertInto(child, shift + BITS, hash, key, value, batch);
  }
  return own;
}

function insertInto<V>(
  child: Branch<V> | Leaf<V>,
  shift: number,
  hash: number,
  key: string,
  value: V,
  batch: Batch,
): Branch<V> | Leaf<V> {
  if (child.kind === 'branch') return insert(child, shift, hash, key, value, batch);
  if (child.hash === hash) {
    const others = without(child, key);
    if (others === child) batch.added += 1;
    return { kind: 'leaf', hash, key, value, others };
  }
  // Another hash wants this place: push the leaf one level down and try again there.
  const bitmap = 1 << ((child.hash >>> shift) & MASK);
  return insert({ kind: 'branch', bitmap, children: [child], madeIn: batch }, shift, hash, key, value, batch);
}

function editable<V>(branch: Branch<V>, batch: Batch): OwnBranch<V> {
  if (isOwn(branch, batch)) return branch;
  return { kind: 'branch', bitmap: branch.bitmap, children: [...branch.children], madeIn: batch };
}

/** Branches are made here only, so that one made in the batch is known to be changeable. */
function isOwn<V>(branch: Branch<V>, batch: Batch): branch is OwnBranch<V> {
  return branch.madeIn === batch;
}

function remove<V>(branch: Branch<V>, shift: number, hash: number, key: string): Branch<V> {
  const bit = 1 << ((hash >>> shift) & MASK);
  const at = place(branch.bitmap, bit);
  const child = branch.children[at];
  if ((branch.bitmap & bit) === 0 || child === undefined) return branch;
  if (child.kind === 'branch') {
    const smaller = remove(child, shift + BITS, hash, key);
    if (smaller === child) return branch;
    if (smaller.bitmap !== 0) return { ...branch, children: branch.children.with(at, smaller) };
  } else {
    const kept = without(child, key);
    if (kept === child) return branch;
    if (kept !== null) return { ...branch, children: branch.children.with(at, kept) };
  }
  return { kind: 'branch', bitmap: branch.bitmap & ~bit, children: branch.children.toSpliced(at, 1), madeIn: null };
}

/** A leaf and those behind it without a key; the very same where none of them has it. */
function without<V>(leaf: Leaf<V> | null, key: string): Leaf<V> | null {
  if (leaf === null) return null;
  if (leaf.key === key) return leaf.others;
  const others = without(leaf.others, key);
  return others === leaf.others ? leaf : { ...leaf, others };
}

function* walk<V>(branch: Branch<V>): IterableIterator<readonly [string, V]> {
  for (const child of branch.children) {
    if (child.kind === 'branch') yield* walk(child);
    else for (let leaf: Leaf<V> | null = child; leaf !== null; leaf = leaf.others) yield [leaf.key, leaf.value];
  }
}
