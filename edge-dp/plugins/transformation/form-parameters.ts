import type { Parameters } from './parameters.ts';

/** `true`: a name without `=`. */
type Value = string | true;

/**
 * The fields of a form or a query, byte for byte: texts hold a character for each byte. Names stand where they first came, their
 * values in order.
 */
export class FormParameters implements Parameters {
  readonly #fields = new Map<string, Value[]>();

  constructor(encoded: string | Uint8Array) {
    const text = typeof encoded === 'string' ? bytesOfText(encoded) : bytesText(encoded);
    for (const part of text.split('&')) {
      if (part === '') continue;
      const equals = part.indexOf('=');
      if (equals < 0) this.#put(undone(part), true);
      else this.#put(undone(part.slice(0, equals)), undone(part.slice(equals + 1)));
    }
  }

  remove(name: string): boolean {
    return this.#fields.delete(bytesOfText(name));
  }

  rename(from: string, to: string): boolean {
    const values = this.#fields.get(bytesOfText(from));
    if (values === undefined) return false;
    this.#fields.delete(bytesOfText(from));
    this.#fields.set(bytesOfText(to), values);
    return true;
  }

  replace(name: string, value: string): boolean {
    const key = bytesOfText(name);
    if (!this.#fields.has(key)) return false;
    this.#fields.set(key, [bytesOfText(value)]);
    return true;
  }

  add(name: string, value: string): boolean {
    const key = bytesOfText(name);
    if (this.#fields.has(key)) return false;
    this.#fields.set(key, [bytesOfText(value)]);
    return true;
  }

  append(name: string, value: string): boolean {
    const key = bytesOfText(name);
    const before = this.#fields.get(key);
    // Kong drops a single one that has no value.
    if (before?.length === 1 && before[0] === true) this.#fields.delete(key);
    this.#put(key, bytesOfText(value));
    return true;
  }

  /** Adds all of another's, beside what there is. */
  join(others: FormParameters): void {
    for (const [name, values] of others.#fields) for (const value of values) this.#put(name, value);
  }

  get size(): number {
    return this.#fields.size;
  }

  /** As a form, in order. */
  encode(): string {
    return this.#encoded().join('&');
  }

  /** As Kong writes a query: in order of the encoded texts of names. */
  encodeSorted(): string {
    return this.#encoded().sort(byUnits).join('&');
  }

  #encoded(): string[] {
    return Array.from(this.#fields, ([name, values]) => {
      const key = escaped(name);
      return values.map((value) => (value === true ? key : `${key}=${escaped(value)}`)).join('&');
    });
  }

  #put(name: string, value: Value): void {
    const before = this.#fields.get(name);
    if (before === undefined) this.#fields.set(name, [value]);
    else before.push(value);
  }
}

function byUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The UTF-8 of a text, a character for each byte. */
function bytesOfText(text: string): string {
  return BEYOND_ASCII.test(text) ? bytesText(UTF8.encode(text)) : text;
}

function bytesText(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  return text;
}

function undone(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  return spaced.replace(/%([\dA-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/** As OpenResty: all but letters, digits and `-._~!'()*`. */
function escaped(text: string): string {
  if (!ESCAPED.test(text)) return text;
  return text.replace(
    /[^A-Za-z0-9\-._~!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

const UTF8 = new TextEncoder();
const CHUNK = 8192;
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII.
const BEYOND_ASCII = /[^\x00-\x7f]/;
const ESCAPED = /[^A-Za-z0-9\-._~!'()*]/;
