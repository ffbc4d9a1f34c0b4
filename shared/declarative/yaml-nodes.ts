import { Alias, isAlias, isMap, isNode, isScalar, isSeq, type Node, type Scalar } from 'yaml';

/** What is wrong with a document, and where its text says so. */
export class YamlFault extends Error {
  readonly offset: number;

  constructor(message: string, node: Node) {
    super(message);
    this.offset = node.range?.[0] ?? 0;
  }
}

/** Values that aliases may add to a document: a hundred thousand uses of what has twenty are far from being an attack. */
const MOST_ADDED = 2_000_000;

/**
 * Makes the nodes of a document ready to become values: names of fields are texts, aliases know what they stand for. Throws
 * `YamlFault` for a name that is there twice, for an alias within what it stands for, which would never end, and for a document
 * that its aliases make too large. The reader's own ways are slow where there are many names, or aliases.
 */
export function prepare(contents: Node | null): void {
  new Preparation().sizeOf(contents);
}

class Preparation {
  /** The last node so far that has an anchor of a name. */
  readonly #anchored = new Map<string, Node>();
  /** Values in a node with an anchor; not yet there within it. */
  readonly #sizes = new Map<Node, number>();
  #added = 0;

  /** How many values a node is, with all that aliases in it stand for. */
  sizeOf(node: unknown): number {
    if (!isNode(node)) return 0;
    if (isAlias(node)) return this.#addedBy(node);
    const anchor = 'anchor' in node && typeof node.anchor === 'string' ? node.anchor : null;
    if (anchor !== null) this.#anchored.set(anchor, node);
    let size = 1;
    if (isMap(node)) {
      const names = new Set<unknown>();
      for (const { key, value } of node.items) {
        if (isScalar(key)) requireOnce(named(key), names);
        size += this.sizeOf(key) + this.sizeOf(value);
      }
    } else if (isSeq(node)) for (const item of node.items) size += this.sizeOf(item);
    if (anchor !== null) this.#sizes.set(node, size);
    return size;
  }

  #addedBy(alias: Alias): number {
    const meant = this.#anchored.get(alias.source);
    // Nobody: the reader says so.
    if (meant === undefined) return 0;
    const size = this.#sizes.get(meant);
    if (size === undefined) throw new YamlFault(`alias *${alias.source} stands within what it is an alias of`, alias);
    this.#added += size;
    if (this.#added > MOST_ADDED) {
      throw new YamlFault(`aliases make the document larger by more than ${MOST_ADDED} values`, alias);
    }
    // It would go through all anchors and aliases of the document, for each of them.
    const known = [meant, alias];
    alias.resolve = (document, context) => {
      if (context !== undefined) context.aliasResolveCache = known;
      return Alias.prototype.resolve.call(alias, document, context);
    };
    return size;
  }
}

/** Keys are names: `on: [GET]` is about what is called on. */
function named(key: Scalar): Scalar {
  if (typeof key.value !== 'string' && typeof key.value !== 'symbol' && key.source !== undefined)
    key.value = key.source;
  return key;
}

function requireOnce(key: Scalar, names: Set<unknown>): void {
  if (names.has(key.value)) throw new YamlFault('Map keys must be unique', key);
  names.add(key.value);
}
