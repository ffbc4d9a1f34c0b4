/**
 * A persistent radix tree: keys are strings, shared beginnings are stored once. An edit copies the few nodes on the way
 * to its key and shares all others with the tree it was made from, which stays as it was.
 */
export interface Trie<V> {
  /** The characters between the parent and this node. */
  readonly label: string;
  readonly value: V | null;
  readonly children: Children<V> | null;
  readonly madeIn: Edit;
}

/** Nodes by the first character of their labels: ASCII in an array, which is several times faster than a map. */
interface Children<V> {
  /** The character of the first place in `ascii`. */
  readonly base: number;
  readonly ascii: readonly (Trie<V> | null)[];
  readonly others: ReadonlyMap<number, Trie<V>> | null;
  readonly madeIn: Edit;
}

/**
 * One batch of edits, which all that is made within it names: it is nobody else's yet and is changed in place, so that building a
 * large tree costs no copies.
 */
export type Edit = symbol;

interface Node<V> extends Trie<V> {
  label: string;
  value: V | null;
  children: Children<V> | null;
}

interface OwnChildren<V> extends Children<V> {
  base: number;
  ascii: (Trie<V> | null)[];
  others: Map<number, Trie<V>> | null;
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
    return value === null ? tidy(node, edit) : node;
  }
  const first = rest.charCodeAt(0);
  const child = childAt(root.children, first);
  const changed = set(child, rest, value, edit);
  if (changed === child) return root;
  const node = editable(root, edit);
  node.children = withChild(node.children, first, changed, edit);
  return value === null ? tidy(node, edit) : node;
}

function leaf<V>(label: string, value: V, madeIn: Edit): Node<V> {
  return { label, value, children: null, madeIn };
}

function split<V>(node: Trie<V>, at: number, rest: string, value: V, madeIn: Edit): Trie<V> {
  const lower = editable(node, madeIn);
  const label = node.label;
  lower.label = label.slice(at);
  let children = withChild<V>(null, label.charCodeAt(at), lower, madeIn);
  if (rest !== '') children = withChild(children, rest.charCodeAt(0), leaf(rest, value, madeIn), madeIn);
  return { label: label.slice(0, at), value: rest === '' ? value : null, children, madeIn };
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
  return { label: node.label, value: node.value, children: node.children, madeIn: edit };
}

/** Nodes are made here only, so that one made in the batch is known to be changeable. */
function isOwn<V>(node: Trie<V>, edit: Edit): node is Node<V> {
  return node.madeIn === edit;
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
  const own = ownChildren(children, code, edit);
  if (code >= ASCII) {
    own.others ??= new Map();
    if (child) own.others.set(code, child);
    else own.others.delete(code);
    return own;
  }
  const { ascii } = own;
  const base = ascii.length === 0 ? code : own.base;
  if (code < base || code >= base + ascii.length) {
    const low = Math.min(base, code);
    // Of the very length: what grows by itself takes room in advance, which thousands of nodes would never use.
    own.ascii = new Array<Trie<V> | null>(Math.max(base + ascii.length - 1, code) - low + 1).fill(null);
    for (let at = 0; at < ascii.length; at++) own.ascii[base - low + at] = ascii[at] ?? null;
    own.base = low;
  }
  own.ascii[code - own.base] = child;
  return own;
}

function ownChildren<V>(children: Children<V> | null, code: number, edit: Edit): OwnChildren<V> {
  if (children === null) return { base: code, ascii: [], others: null, madeIn: edit };
  if (areOwn(children, edit)) return children;
  const { base, ascii, others } = children;
  return { base, ascii: [...ascii], others: others && new Map(others), madeIn: edit };
}

/** As with nodes. */
function areOwn<V>(children: Children<V>, edit: Edit): children is OwnChildren<V> {
  return children.madeIn === edit;
}

const ASCII = 128;

function commonLength(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}
