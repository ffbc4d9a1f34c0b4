import type { Bytes } from './format.ts';

const encoder = new TextEncoder();

/**
 * Canonical JSON, RFC 8785: members sorted by UTF-16 code units, no white space, numbers as ECMAScript prints them.
 * The same value gives the same text everywhere. Members that are `undefined` are left out.
 * Throws `TypeError` for what JSON cannot say: NaN, infinities, functions, lone surrogates, values that refer to themselves.
 */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

/** The canonical JSON of a value as UTF-8: what object names are digests of. */
export function canonicalBytes(value: unknown): Bytes {
  return utf8(canonicalJson(value));
}

/** The UTF-8 bytes of a text. Copied, because not every runtime's types promise that an encoder's memory is its own. */
export function utf8(text: string): Bytes {
  return new Uint8Array(encoder.encode(text));
}

/** Deeper than any row; a value that refers to itself ends here instead of at the end of the stack. */
const MAX_DEPTH = 512;

function write(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) throw new TypeError(`canonical JSON: nested deeper than ${MAX_DEPTH} levels`);
  switch (typeof value) {
    case 'string':
      return text(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`canonical JSON: ${value} is not a JSON number`);
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? list(value, depth) : members(value, depth);
    default:
      throw new TypeError(`canonical JSON: a ${typeof value} has no JSON form`);
  }
}

function text(value: string): string {
  if (!value.isWellFormed()) throw new TypeError('canonical JSON: a string holds a lone surrogate');
  return JSON.stringify(value);
}

function list(values: readonly unknown[], depth: number): string {
  let result = '[';
  for (let position = 0; position < values.length; position++) {
    if (position > 0) result += ',';
    result += write(values[position], depth + 1);
  }
  return `${result}]`;
}

function members(value: object, depth: number): string {
  let result = '{';
  // Sorting without a comparison function is by UTF-16 code units, which is what the RFC asks for.
  const entries = new Map<string, unknown>(Object.entries(value));
  for (const name of [...entries.keys()].sort()) {
    const member = entries.get(name);
    if (member === undefined) continue;
    if (result.length > 1) result += ',';
    result += `${text(name)}:${write(member, depth + 1)}`;
  }
  return `${result}}`;
}
