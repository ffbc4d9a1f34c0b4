import { isRecord, type Row } from '../record.ts';
import { put } from './record.ts';
import type { Field, Fields, ShorthandField } from './vocabulary.ts';

/** What form arguments can be coerced by: an entity, a plugin, a nested record. */
interface Coercible {
  readonly fields: Fields;
  readonly shorthand_fields?: readonly ShorthandField[];
  readonly ttl?: boolean;
}

/**
 * The input that form arguments stand for, in order and already percent-decoded. Keys nest (`a.b`, `a[b]`), list
 * (`a[]`, `a[1]`, or `a` more than once) and carry text; the schema turns text into numbers, booleans, null (for "")
 * and lists of one. What does not fit stays text for validation to refuse. `subschema` adds the fields a sub-schema
 * has in the place of abstract ones (a plugin's `config`).
 */
export function coerceForm(
  schema: Coercible,
  args: Iterable<readonly [key: string, value: string]>,
  subschema?: Coercible,
): Row {
  const root = new Node();
  for (const [key, value] of args) place(root, parseKey(key), value);
  const input: Row = {};
  for (const [key, node] of root.named) put(input, key, node.value());
  const fields = subschema ? { ...schema.fields, ...subschema.fields } : schema.fields;
  inferRecord(input, fields, [...(schema.shorthand_fields ?? []), ...(subschema?.shorthand_fields ?? [])]);
  if (schema.ttl && typeof input.ttl === 'string') input.ttl = toNumber(input.ttl);
  return input;
}

type Step = { readonly name: string } | { readonly index: number } | 'append';

/** `a.b[c][2][]`: names after dots and in brackets, places in brackets. A key that begins or ends with a dot is one name. */
function parseKey(key: string): Step[] {
  if (/^\.|\.$/.test(key)) return [{ name: key }];
  const [head = key] = /^.[^[.]*/s.exec(key) ?? [];
  const steps: Step[] = [{ name: head }];
  for (const [, dotted, bracketed = ''] of key.slice(head.length).matchAll(/\.([^[.]+)|\[([^\]]*)\]/g)) {
    if (dotted !== undefined) steps.push({ name: dotted });
    else if (bracketed === '') steps.push('append');
    else if (/^\d+$/.test(bracketed)) steps.push({ index: Number(bracketed) });
    else steps.push({ name: bracketed });
  }
  return steps;
}

/** One place in the tree that keys spell out; what it is shows only when all arguments are in. */
class Node {
  readonly named = new Map<string, Node>();
  readonly indexed = new Map<number, Node>();
  readonly appended: Node[] = [];
  readonly texts: string[] = [];

  value(): unknown {
    if (this.named.size > 0) {
      const record: Row = {};
      for (const [key, node] of this.named) put(record, key, node.value());
      return record;
    }
    if (this.appended.length === 0 && ![...this.indexed.keys()].every((at) => at >= 1 && at <= this.indexed.size)) {
      return Object.fromEntries([...this.indexed].map(([at, node]) => [at, node.value()]));
    }
    const listed = [
      ...[...this.indexed].sort(([a], [b]) => a - b).map(([, node]) => node.value()),
      ...this.appended.map((node) => node.value()),
    ];
    if (listed.length > 0) return [...this.texts, ...listed];
    return this.texts.length === 1 ? this.texts[0] : [...this.texts];
  }
}

function place(root: Node, steps: readonly Step[], text: string): void {
  let node = root;
  for (const step of steps) node = child(node, step);
  node.texts.push(text);
}

function child(node: Node, step: Step): Node {
  const next = new Node();
  if (step === 'append') {
    node.appended.push(next);
    return next;
  }
  if ('index' in step) {
    const found = node.indexed.get(step.index) ?? next;
    node.indexed.set(step.index, found);
    return found;
  }
  const found = node.named.get(step.name) ?? next;
  node.named.set(step.name, found);
  return found;
}

function inferRecord(record: Row, fields: Fields, shorthands: readonly ShorthandField[] = []): void {
  for (const key of Object.keys(record)) {
    const field = Object.hasOwn(fields, key) ? fields[key] : shorthands.find(({ name }) => name === key)?.field;
    if (field) put(record, key, infer(record[key], field));
  }
}

function infer(value: unknown, field: Field): unknown {
  if (value === '') return null;
  switch (field.type) {
    case 'number':
    case 'integer':
      return typeof value === 'string' ? toNumber(value) : value;
    case 'boolean':
      return value === 'true' ? true : value === 'false' ? false : value;
    case 'array':
    case 'set':
      // Names, and places that leave some out, are no list.
      if (isRecord(value)) return value;
      return (Array.isArray(value) ? value : [value]).map((item) => infer(item, field.elements));
    case 'map':
      return isRecord(value) ? mapValues(value, field.values) : value;
    case 'record':
      if (isRecord(value)) inferRecord(value, field.fields, field.shorthand_fields);
      return value;
    case 'foreign':
      // What names a parent is text: its id, its name.
      return isRecord(value) ? mapValues(value, { type: 'string' }) : value;
    default:
      return value;
  }
}

function mapValues(map: Readonly<Row>, values: Field): Row {
  const inferred: Row = {};
  for (const [key, item] of Object.entries(map)) put(inferred, key, infer(item, values));
  return inferred;
}

function toNumber(text: string): number | string {
  return /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(text) || /^\s*0x[0-9a-f]+\s*$/i.test(text)
    ? Number(text)
    : text;
}
