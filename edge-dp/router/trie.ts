/**
 * A persistent radix tree: keys are strings, shared beginnings are stored once. An edit copies the few nodes on the way
 * to its key and shares all others with the tree it was made from, which stays as it was.
 */
export interface Trie<V> {
  /** The characters between the parent and this node. */
  readonly label: string;
  readonly value: V | null;
  readonly children: Children<V> | null;
}

/** Nodes by the first character of their labels: ASCII in an array, which is several times faster than a map. */
interface Children<V> {
  /** The character of the first place in `ascii`. */
  readonly base: number;
  readonly ascii: readonly (Trie<V> | null)[];
  readonly others: ReadonlyMap<number, Trie<V>> | null;
}

/**
 * One batch of edits. Nodes made within it are nobody else's yet and are changed in place, so that building a large tree
 * costs no copies.
 */
export class Edit {
  /** Not weak: a batch is soon over, and what is held weakly is looked through at each collection of garbage. */
  readonly #own = new Set<object>();

  owns(object: object): boolean {
    return this.#own.has(object);
  }

  own<T extends object>(object: T): T {
    this.#own.add(object);
    return object;
  }
}

interface Node<V> extends Trie<V> {
  label: string;
  value: V | null;
  children: Children<V> | null;
}

/** The value of exactly this key. */
export function get<V>(root: Trie<V> | null, key: string): V | null {
  let node: Trie<V> | null = root;
  let at = 0;
  while (node) {
    const { label } = node;
    // The first character is known to be the same, except at the root.
    if ((at === 0 || label.length > 1) && !key.startsWith(label, at)) return null;
    at += label.length;
    if (at === key.length) return node.value;
    node = childAt(node.children, key.charCodeAt(at));
  }
  return null;
}

/** The values of all keys the text begins with, shortest first, appended to `into`. */
export function prefixesOf<V>(root: Trie<V> | null, text: string, into: V[]): void {
  let node: Trie<V> | null = root;
  let at = 0;
  while (node) {
    const { label } = node;
    if ((at === 0 || label.length > 1) && !text.startsWith(label, at)) return;
    at += label.length;
    if (node.value !== null) into.push(node.value);
    if (at === text.length) return;
    node = childAt(node.children, text.charCodeAt(at));
  }
}

/** Every value. */
export function* values<V>(root: Trie<V> | null): Generator<V, void> {
  if (!root) return;
  if (root.value !== null) yield root.value;
  for (const child of childrenOf(root)) yield* values(child);
}

/** The tree with another value at a key; null takes the key out. Null when nothing is left. */
export function set<V>(root: Trie<V> | null, key: string, value: V | null, edit: Edit): Trie<V> | null {
  if (!root) return value === null ? null : leaf(key, value, edit);
  const shared = commonLength(root.label, key);
  if (shared < root.label.length) {
    return value === null ? root : split(root, shared, key.slice(shared), value, edit);
  }
  const rest = key.slice(shared);
  if (rest === '') {
    if (root.value === value) return root;
    const node = editable(root, edit);
    node.value = value;
    return tidy(node, edit);
  }
  const first = rest.charCodeAt(0);
  const child = childAt(root.children, first);
  const changed = set(child, rest, value, edit);
  if (changed === child) return root;
  const node = editable(root, edit);
  node.children = withChild(node.children, first, changed, edit);
  return tidy(node, edit);
}

function leaf<V>(label: string, value: V, edit: Edit): Node<V> {
  return edit.own({ label, value, children: null });
}

function split<V>(node: Trie<V>, at: number, rest: string, value: V, edit: Edit): Trie<V> {
  const lower = editable(node, edit);
  const label = node.label;
  lower.label = label.slice(at);
  let children = withChild<V>(null, label.charCodeAt(at), lower, edit);
  if (rest !== '') children = withChild(children, rest.charCodeAt(0), leaf(rest, value, edit), edit);
  return edit.own({ label: label.slice(0, at), value: rest === '' ? value : null, children });
}

/** Drops an empty node and joins one that only leads to another. */
function tidy<V>(node: Node<V>, edit: Edit): Trie<V> | null {
  if (node.value !== null) return node;
  const [only, second] = childrenOf(node);
  if (!only) return null;
  if (second) return node;
  const joined = editable(only, edit);
  joined.label = node.label + joined.label;
  return joined;
}

function editable<V>(node: Trie<V>, edit: Edit): Node<V> {
  if (isOwn(node, edit)) return node;
  return edit.own({ label: node.label, value: node.value, children: node.children });
}

/** Nodes are made here only, so that one the edit owns is known to be changeable. */
function isOwn<V>(node: Trie<V>, edit: Edit): node is Node<V> {
  return edit.owns(node);
}

function childAt<V>(children: Children<V> | null, code: number): Trie<V> | null {
  if (!children) return null;
  if (code < ASCII) return children.ascii[code - children.base] ?? null;
  return children.others?.get(code) ?? null;
}

function childrenOf<V>({ children }: Trie<V>): Trie<V>[] {
  const found: Trie<V>[] = [];
  for (const child of children?.ascii ?? []) if (child) found.push(child);
  for (const child of children?.others?.values() ?? []) found.push(child);
  return found;
}

function withChild<V>(children: Children<V> | null, code: number, child: Trie<V> | null, edit: Edit): Children<V> {
  const { base, ascii, others } = children ?? { base: code, ascii: [], others: null };
  if (code >= ASCII) {
    const changed = others && isOwnMap(others, edit) ? others : edit.own(new Map(others));
    if (child) changed.set(code, child);
    else changed.delete(code);
    return { base, ascii, others: changed };
  }
  const at = code - base;
  if (at >= 0 && at < ascii.length) {
    const changed = isOwnArray(ascii, edit) ? ascii : edit.own([...ascii]);
    changed[at] = child;
    return changed === ascii && children ? children : { base, ascii: changed, others };
  }
  const low = ascii.length === 0 ? code : Math.min(base, code);
  const high = ascii.length === 0 ? code : Math.max(base + ascii.length - 1, code);
  const wider = Array.from({ length: high - low + 1 }, (_, i) => ascii[i + low - base] ?? null);
  wider[code - low] = child;
  return { base: low, ascii: edit.own(wider), others };
}

const ASCII = 128;

function isOwnArray<V>(ascii: readonly (Trie<V> | null)[], edit: Edit): ascii is (Trie<V> | null)[] {
  return edit.owns(ascii);
}

function isOwnMap<V>(others: ReadonlyMap<number, Trie<V>>, edit: Edit): others is Map<number, Trie<V>> {
  return edit.owns(others);
}

function commonLength(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}
