/**
 * A persistent radix tree: keys are strings, shared beginnings are stored once. An edit copies the few nodes on the way
 * to its key and shares all others with the tree it was made from, which stays as it was.
 */
export interface Trie<V> {
  /** The characters between the parent and this node. */
  readonly label: string;
  readonly value: V | null;
  /** By the first character of their labels. */
  readonly children: ReadonlyMap<number, Trie<V>> | null;
}

/**
 * One batch of edits. Nodes made within it are nobody else's yet and are changed in place, so that building a large tree
 * costs no copies.
 */
export class Edit {
  readonly #own = new WeakSet<object>();

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
  children: Map<number, Trie<V>> | null;
}

/** The value of exactly this key. */
export function get<V>(root: Trie<V> | null, key: string): V | null {
  let node: Trie<V> | undefined | null = root;
  let at = 0;
  while (node) {
    if (!key.startsWith(node.label, at)) return null;
    at += node.label.length;
    if (at === key.length) return node.value;
    node = node.children?.get(key.charCodeAt(at));
  }
  return null;
}

/** The values of all keys the text begins with, shortest first, appended to `into`. */
export function prefixesOf<V>(root: Trie<V> | null, text: string, into: V[]): void {
  let node: Trie<V> | undefined | null = root;
  let at = 0;
  while (node) {
    if (!text.startsWith(node.label, at)) return;
    at += node.label.length;
    if (node.value !== null) into.push(node.value);
    if (at === text.length) return;
    node = node.children?.get(text.charCodeAt(at));
  }
}

/** Every value. */
export function* values<V>(root: Trie<V> | null): Generator<V, void> {
  if (!root) return;
  if (root.value !== null) yield root.value;
  for (const child of root.children?.values() ?? []) yield* values(child);
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
  const child = root.children?.get(first) ?? null;
  const changed = set(child, rest, value, edit);
  if (changed === child) return root;
  const node = editable(root, edit);
  const children = ownChildren(node, edit);
  if (changed) children.set(first, changed);
  else children.delete(first);
  return tidy(node, edit);
}

function leaf<V>(label: string, value: V, edit: Edit): Node<V> {
  return edit.own({ label, value, children: null });
}

function split<V>(node: Trie<V>, at: number, rest: string, value: V, edit: Edit): Trie<V> {
  const lower = editable(node, edit);
  const label = node.label;
  lower.label = label.slice(at);
  const children = edit.own(new Map<number, Trie<V>>([[label.charCodeAt(at), lower]]));
  if (rest !== '') children.set(rest.charCodeAt(0), leaf(rest, value, edit));
  return edit.own({ label: label.slice(0, at), value: rest === '' ? value : null, children });
}

/** Drops an empty node and joins one that only leads to another. */
function tidy<V>(node: Node<V>, edit: Edit): Trie<V> | null {
  if (node.value !== null) return node;
  const size = node.children?.size ?? 0;
  if (size === 0) return null;
  if (size > 1) return node;
  for (const child of node.children?.values() ?? []) {
    const joined = editable(child, edit);
    joined.label = node.label + joined.label;
    return joined;
  }
  return node;
}

function editable<V>(node: Trie<V>, edit: Edit): Node<V> {
  if (isOwn(node, edit)) return node;
  return edit.own({
    label: node.label,
    value: node.value,
    children: node.children && edit.own(new Map(node.children)),
  });
}

/** Nodes are made here only, so that one the edit owns is known to be changeable. */
function isOwn<V>(node: Trie<V>, edit: Edit): node is Node<V> {
  return edit.owns(node);
}

function ownChildren<V>(node: Node<V>, edit: Edit): Map<number, Trie<V>> {
  if (node.children && edit.owns(node.children)) return node.children;
  node.children = edit.own(new Map(node.children));
  return node.children;
}

function commonLength(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}
