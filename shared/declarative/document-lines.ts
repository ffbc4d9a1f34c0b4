import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';

/** The path to a part of a document: names of fields, positions in lists. */
export type DocumentPath = readonly (string | number)[];

/** Tells the line (from 1) of the nearest part of a document that is there; null where not even its beginning is. */
export type LineOf = (path: DocumentPath) => number | null;

/**
 * Looks up lines in a document, in YAML or JSON. A name in the place of a position is that of the entry with this name, username or id,
 * as errors about what several entries have in common are told.
 */
export function documentLines(text: string): LineOf {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    logLevel: 'silent',
    schema: 'failsafe',
    uniqueKeys: false,
  });
  return (path) => {
    let node: Node | null = document.contents;
    let offset: number | null = null;
    for (const step of path) {
      const [at, next] = stepInto(resolved(node, document), step);
      if (at === null) break;
      offset = at;
      node = next;
    }
    return offset === null ? null : lines.linePos(offset).line;
  };
}

function stepInto(node: Node | null, step: string | number): readonly [offset: number | null, next: Node | null] {
  if (isMap<Node, Node | null>(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
    return [pair?.key.range?.[0] ?? null, pair?.value ?? null];
  }
  if (!isSeq<Node>(node)) return [null, null];
  const item = node.items[Number(step)] ?? node.items.find((one) => isNamed(one, String(step)));
  return [item?.range?.[0] ?? null, item ?? null];
}

function isNamed(node: Node, name: string): boolean {
  return isMap(node) && ['name', 'username', 'id'].some((field) => node.get(field) === name);
}

function resolved(node: Node | null, document: Document): Node | null {
  return isAlias(node) ? (node.resolve(document) ?? null) : node;
}
