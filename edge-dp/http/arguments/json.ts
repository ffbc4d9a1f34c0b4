import { concatBytes } from '../../../shared/bytes.ts';
import { parseAround, parseAsCjson } from '../../../shared/lua/cjson.ts';
import { isRecord } from '../../../shared/record.ts';
import type { BodyArguments } from './body-arguments.ts';

/** The members of a body that is a JSON object, as Kong reads JSON; null for other JSON. Throws for what is none. */
export function jsonArguments(body: Uint8Array): BodyArguments | null {
  const value = parseAround(UTF8.decode(body));
  if (!isRecord(value)) return null;
  return {
    values(name) {
      const found = Object.hasOwn(value, name) ? value[name] : null;
      if (typeof found === 'string') return [found];
      return typeof found === 'object' && found !== null ? SEVERAL : [];
    },
    without(name) {
      const members = membersOf(body);
      const [first] = members;
      const last = members.at(-1);
      if (first === undefined || last === undefined) return body;
      const parts = [body.subarray(0, first.start)];
      let empty = true;
      for (const [place, { start, end, name: own }] of members.entries()) {
        if (own === name) continue;
        // What stands before it: its comma, and blanks.
        parts.push(body.subarray(empty ? start : (members[place - 1]?.end ?? start), end));
        empty = false;
      }
      parts.push(body.subarray(last.end));
      return concatBytes(parts);
    },
  };
}

/** An array or an object is no one value. */
const SEVERAL = [true, true] as const;

export interface JsonMember {
  readonly name: string;
  /** The first byte of the name, of the value, and the one behind it. */
  readonly start: number;
  readonly value: number;
  readonly end: number;
}

/** The members at the top of a JSON object that `parseAround` reads, each as it stands there: repeated ones too. */
export function membersOf(json: Uint8Array): readonly JsonMember[] {
  const members: JsonMember[] = [];
  let at = json.indexOf(OPEN_BRACE) + 1;
  for (;;) {
    at = skip(json, at, BETWEEN);
    if (json[at] !== QUOTE) return members;
    const start = at;
    at = endOfString(json, at);
    const name = String(parseAsCjson(UTF8.decode(json.subarray(start, at))));
    const value = skip(json, at, BETWEEN);
    at = endOfValue(json, value);
    members.push({ name, start, value, end: at });
  }
}

function skip(json: Uint8Array, from: number, bytes: ReadonlySet<number>): number {
  let at = from;
  while (at < json.length && bytes.has(json[at] ?? 0)) at++;
  return at;
}

function endOfString(json: Uint8Array, from: number): number {
  for (let at = from + 1; at < json.length; at++) {
    if (json[at] === BACKSLASH) at++;
    else if (json[at] === QUOTE) return at + 1;
  }
  return json.length;
}

function endOfValue(json: Uint8Array, from: number): number {
  let depth = 0;
  for (let at = from; at < json.length; ) {
    const byte = json[at] ?? 0;
    if (depth === 0 && at > from && ENDS_VALUE.has(byte)) return at;
    if (byte === QUOTE) {
      at = endOfString(json, at);
      if (depth === 0) return at;
      continue;
    }
    if (OPENING.has(byte)) depth++;
    if (CLOSING.has(byte) && --depth === 0) return at + 1;
    at++;
  }
  return json.length;
}

const UTF8 = new TextDecoder();
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const bytesOf = (text: string): ReadonlySet<number> => new Set(new TextEncoder().encode(text));
/** Blanks (RFC 8259 section 2), commas and colons. */
const BETWEEN = bytesOf(' \t\r\n,:');
/** What a number or a literal ends before. */
const ENDS_VALUE = bytesOf(' \t\r\n,}');
const OPENING = bytesOf('{[');
const CLOSING = bytesOf('}]');
