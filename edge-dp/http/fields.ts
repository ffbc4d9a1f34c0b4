import { isFrequentFieldName } from '../../shared/head.ts';

/**
 * Header fields of a message (RFC 9110 section 5), named as in the Fetch API: a native `Headers` is one as it is. Names match
 * whatever their case. `set` and `append` throw a `TypeError` for what no message may carry.
 */
export interface HeaderFields {
  /** The lines of a name joined by `, `; null when there is none. */
  get(name: string): string | null;
  has(name: string): boolean;
  set(name: string, value: string): void;
  append(name: string, value: string): void;
  delete(name: string): void;
  /** The lines of Set-Cookie, the one field that cannot be joined. */
  getSetCookie(): string[];
  /** Names in lower case, each once but `set-cookie`. */
  keys(): Iterable<string>;
  /** Names in lower case with their values, lines joined; `set-cookie` comes once a line. In no particular order. */
  [Symbol.iterator](): Iterator<[string, string]>;
  /** What iterating comes to, without a pair made for each. */
  forEach(visit: (value: string, name: string) => void): void;
  /** Names in lower case with the value of each line, in order. Absent where the host joins lines before anybody sees them. */
  eachLine?(): Iterable<[string, string]>;
}

/** What a line of a head is in bytes: a name, a value, what stands between, and the end. */
export function lineLength(name: string, value: string): number {
  return name.length + value.length + 4;
}

/** Names in lower case with the value of each line, as far as the host tells lines apart. */
export function eachLineOf(headers: HeaderFields): Iterable<[string, string]> {
  return headers.eachLine?.() ?? headers;
}

/** The same, called with each: natively at once, where a host has native fields. */
export function forEachLine(headers: HeaderFields, visit: (value: string, name: string) => void): void {
  if (headers.eachLine === undefined) headers.forEach(visit);
  else for (const [name, value] of headers.eachLine()) visit(value, name);
}

/** The value of the first line of a name, as far as the host tells lines apart; null when there is none. */
export function firstLine(headers: HeaderFields, name: string): string | null {
  const all = headers.get(name);
  if (all === null || headers.eachLine === undefined || !all.includes(', ')) return all;
  const lower = name.toLowerCase();
  for (const [own, value] of headers.eachLine()) if (own === lower) return value;
  return all;
}

/** The values of the lines of a name, where the host tells lines apart, else what may have been one; null when there is none. */
export function linesOf(headers: HeaderFields, name: string): readonly string[] | null {
  const all = headers.get(name);
  if (all === null) return null;
  if (headers.eachLine === undefined || !all.includes(', ')) return splitLines(all);
  const lower = name.toLowerCase();
  const lines: string[] = [];
  for (const [own, value] of headers.eachLine()) if (own === lower) lines.push(withoutPadding(value));
  return lines;
}

/** The lines of a field, or the items of a list in one line: joined, they cannot be told apart. */
export function splitLines(value: string): readonly string[] {
  return value.includes(', ') ? value.split(', ').map(withoutPadding) : [withoutPadding(value)];
}

/** A value without the blanks at its end, which are no part of it (RFC 9110 section 5.5). */
export function withoutPadding(value: string): string {
  let end = value.length;
  while (isBlank(value.charCodeAt(end - 1))) end--;
  return end === value.length ? value : value.slice(0, end);
}

/** A space or a tab. */
export function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Whether a comma-separated value holds a token, whatever its case and parameters. */
export function listed(value: string, token: string): boolean {
  return value.split(',').some((item) => item.split(';', 1)[0]?.trim().toLowerCase() === token);
}

/**
 * Header fields as lines in the order they were added, names spelt as they were given: what the gateway says itself, and what
 * a host without native `Headers` receives and sends.
 */
export class FieldList implements HeaderFields {
  readonly #lines: string[];

  /** `lines`: names and values in turn, as `node:http` and undici have them; taken over, and trusted to be valid. */
  constructor(lines: string[] = []) {
    this.#lines = lines;
  }

  /** Throws a `TypeError` for what no message may carry. */
  static of(fields: Readonly<Record<string, string>>): FieldList {
    const list = new FieldList();
    for (const name in fields) list.append(name, fields[name] ?? '');
    return list;
  }

  /** Names and values in turn. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  get(name: string): string | null {
    let found: string | null = null;
    for (let at = this.#find(name, 0); at >= 0; at = this.#find(name, at + 2)) {
      const value = this.#lines[at + 1] ?? '';
      found = found === null ? value : joined(name, found, value);
    }
    return found;
  }

  has(name: string): boolean {
    return this.#find(name, 0) >= 0;
  }

  set(name: string, value: string): void {
    const line = this.#line(name, value);
    const at = this.#find(name, 0);
    if (at < 0) {
      this.#lines.push(checkedName(name), line);
      return;
    }
    this.#lines[at + 1] = line;
    this.#removeFrom(name, at + 2);
  }

  append(name: string, value: string): void {
    this.#lines.push(checkedName(name), this.#line(name, value));
  }

  /** A value that is more than plain ASCII as it stands in a line. */
  protected written(value: string): string {
    return value;
  }

  #line(name: string, value: string): string {
    return isPlain(value) ? value : checkedValue(name, this.written(value));
  }

  delete(name: string): void {
    this.#removeFrom(name, 0);
  }

  getSetCookie(): string[] {
    const cookies: string[] = [];
    for (let at = this.#find('set-cookie', 0); at >= 0; at = this.#find('set-cookie', at + 2))
      cookies.push(this.#lines[at + 1] ?? '');
    return cookies;
  }

  *keys(): Generator<string, void> {
    for (const [name] of this) yield name;
  }

  *[Symbol.iterator](): Generator<[string, string], void> {
    const all = new Map<string, string>();
    for (let at = 0; at < this.#lines.length; at += 2) {
      const name = (this.#lines[at] ?? '').toLowerCase();
      const value = this.#lines[at + 1] ?? '';
      if (name === 'set-cookie') {
        yield [name, value];
      } else {
        const before = all.get(name);
        all.set(name, before === undefined ? value : joined(name, before, value));
      }
    }
    yield* all;
  }

  forEach(visit: (value: string, name: string) => void): void {
    for (const [name, value] of this) visit(value, name);
  }

  *eachLine(): Generator<[string, string], void> {
    for (let at = 0; at < this.#lines.length; at += 2)
      yield [(this.#lines[at] ?? '').toLowerCase(), this.#lines[at + 1] ?? ''];
  }

  /** Puts them onto others, before what those have under the same names. */
  precede(others: HeaderFields): void {
    for (let at = 0; at < this.#lines.length; at += 2) {
      const name = this.#lines[at] ?? '';
      if (!this.#isFirst(at, name)) continue;
      if (!others.has(name)) {
        this.#appendTo(others, at);
        continue;
      }
      const own = isSameName(name, 'set-cookie') ? others.getSetCookie() : [others.get(name)];
      others.delete(name);
      this.#appendTo(others, at);
      for (const value of own) if (value !== null) others.append(name, value);
    }
  }

  /** Puts them onto others that have nothing under the same names, but for Set-Cookie, which comes beside. */
  complete(others: HeaderFields): void {
    for (let at = 0; at < this.#lines.length; at += 2) {
      const name = this.#lines[at] ?? '';
      if (!this.#isFirst(at, name)) continue;
      if (isSameName(name, 'set-cookie') || !others.has(name)) this.#appendTo(others, at);
    }
  }

  /** Whether no line before has that name: one goes with all of its name. */
  #isFirst(at: number, name: string): boolean {
    return this.#find(name, 0) === at;
  }

  /** All lines of a name, the first of which is at `first`. */
  #appendTo(others: HeaderFields, first: number): void {
    const lines = this.#lines;
    const name = lines[first] ?? '';
    for (let at = first; at >= 0; at = this.#find(name, at + 2)) {
      const [own, value] = [lines[at] ?? '', lines[at + 1] ?? ''];
      // The name was looked at when it came into this list.
      if (others instanceof FieldList) others.#lines.push(own, others.#line(own, value));
      else others.append(own, value);
    }
  }

  /** The place of the first line of a name from `from` on; -1 when there is none. */
  #find(name: string, from: number): number {
    const lines = this.#lines;
    const { length } = name;
    for (let at = from; at < lines.length; at += 2) {
      const own = lines[at] ?? '';
      if (own.length === length && (own === name || isSameName(own, name))) return at;
    }
    return -1;
  }

  #removeFrom(name: string, from: number): void {
    for (let at = this.#find(name, from); at >= 0; at = this.#find(name, at)) this.#lines.splice(at, 2);
  }
}

/** Whether two names of fields are one. From behind: many begin alike, and nothing is made to compare them. */
function isSameName(one: string, other: string): boolean {
  if (one.length !== other.length) return false;
  for (let at = one.length - 1; at >= 0; at--) {
    const a = one.charCodeAt(at);
    const b = other.charCodeAt(at);
    if (a === b) continue;
    const letter = a | 0x20;
    if (letter !== (b | 0x20) || letter < 0x61 || letter > 0x7a) return false;
  }
  return true;
}

/** Two lines as one: RFC 9110 section 5.3; for Cookie RFC 9113 section 8.2.3. */
function joined(name: string, first: string, second: string): string {
  return `${first}${name.toLowerCase() === 'cookie' ? ';' : ','} ${second}`;
}

function checkedName(name: string): string {
  if (!isFrequentFieldName(name)) throw new TypeError(`${JSON.stringify(name)} is no name of a header field`);
  return name;
}

/** Without what ends a line, or a header for those who read it in C. */
function checkedValue(name: string, value: string): string {
  if (UNSENDABLE.test(value)) throw new TypeError(`header field ${name} cannot carry a line break or NUL`);
  return withoutBlanks(value);
}

/** A field's value without the blanks around it (RFC 9110 section 5.5). A pattern that ends with them would try each run of them within. */
export function withoutBlanks(value: string): string {
  let from = 0;
  let to = value.length;
  while (from < to && isBlankAt(value, from)) from++;
  while (from < to && isBlankAt(value, to - 1)) to--;
  return value.slice(from, to);
}

function isBlankAt(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || code === 0x09;
}

/** Whether a text is ASCII, without control characters, and without blanks around it: then it can stand in a line as it is. */
function isPlain(text: string): boolean {
  const { length } = text;
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return length === 0 || (text.charCodeAt(0) !== 0x20 && text.charCodeAt(length - 1) !== 0x20);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what ends a line, or a header for those who read it in C.
const UNSENDABLE = /[\x00\r\n]/;
