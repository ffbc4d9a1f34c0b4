import { type LuaList, LuaReference, type LuaResult, type LuaValue, NULL, results } from '../../shared/lua/value.ts';
import { unescaped } from '../../shared/unescaped.ts';

/** `application/x-www-form-urlencoded` as OpenResty reads and writes it. */

/** Arguments of a query or form: `true` for one without `=`, a list where a name is repeated. At most `max`, 0: all. */
export function decodeArguments(text: string, max: number): Map<string, LuaValue> {
  const all = new Map<string, LuaValue>();
  /** Those of names that are repeated: added to, for there may be very many. */
  const lists = new Map<string, LuaValue[]>();
  let count = 0;
  for (const part of text.split('&')) {
    if (part === '') continue;
    if (max > 0 && ++count > max) break;
    const equals = part.indexOf('=');
    const name = unescapeText(equals < 0 ? part : part.slice(0, equals));
    const value = equals < 0 ? true : unescapeText(part.slice(equals + 1));
    const before = all.get(name);
    const list = lists.get(name);
    if (before === undefined) all.set(name, value);
    else if (list !== undefined) list.push(value);
    else {
      const both: LuaValue[] = [before, value];
      lists.set(name, both);
      all.set(name, both);
    }
  }
  return all;
}

/** The first `max` arguments of a query or form, 0: all; and when there are more, a second result that says so. */
export function argumentsUpTo(text: string, max: number): LuaResult {
  const table = decodeArguments(text, max);
  const isCut = max > 0 && text.split('&').filter((part) => part !== '').length > max;
  return isCut ? results(table, 'truncated') : table;
}

/** A table as arguments, in the order of what they are written as, values of one name in theirs. Throws for what cannot be one. */
export function encodeArguments(value: LuaValue): string {
  if (isList(value) && value.length > 0) throw new Error(NO_NAME);
  if (isList(value)) return '';
  if (!isMap(value)) throw new Error('args must be a table');
  const all: string[] = [];
  for (const [name, item] of value) {
    if (typeof name !== 'string' && !(name instanceof Uint8Array)) throw new Error(NO_NAME);
    const written = typeof name === 'string' ? escapeText(name) : escapeBytes(name);
    const values: LuaList = isList(item) ? item : isMap(item) && item.size === 0 ? [] : [item];
    const parts = values.map((each) => argumentOf(written, each)).filter((part) => part !== null);
    if (parts.length > 0) all.push(parts.join('&'));
  }
  return all.sort().join('&');
}

const NO_NAME = 'arg keys must be strings';

/** Null: `false` is none. */
function argumentOf(name: string, value: LuaValue): string | null {
  if (value === true) return name;
  if (value === false || value === undefined) return null;
  if (value instanceof Uint8Array) return `${name}=${escapeBytes(value)}`;
  if (typeof value === 'string' || typeof value === 'number') return `${name}=${escapeText(String(value))}`;
  throw new Error(`attempt to use ${typeOf(value)} as query arg value`);
}

/** `ngx.escape_uri`: all but letters, digits and `-._~!'()*`. */
export function escapeText(text: string): string {
  return escapeBytes(encoder.encode(text));
}

/** `type` is nginx's: of a component of a URI (2), of its arguments (1), or of a whole one (0). */
export function escapeBytes(bytes: Uint8Array, type = 2): string {
  const written = WRITTEN_BYTES[type];
  if (written === undefined) throw new Error(`"type" must be 0, 1 or 2, not ${type}`);
  let escaped = '';
  for (const byte of bytes) escaped += written[byte];
  return escaped;
}

/** `ngx.unescape_uri`: `+` is a blank; what is no escape stays as it is, bytes that are no UTF-8 stay escaped. */
export function unescapeText(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  return spaced.includes('%') ? unescaped(spaced) : spaced;
}

export function isList(value: LuaValue): value is LuaList {
  return Array.isArray(value);
}

/** A table with keys, as it comes out of Lua. An empty table is one. */
export function isMap(value: LuaValue): value is ReadonlyMap<LuaValue, LuaValue> {
  return value instanceof Map;
}

/** As Lua calls it. */
export function typeOf(value: LuaValue): string {
  if (value === undefined || value === null) return 'nil';
  if (value === NULL) return 'userdata';
  if (isList(value) || isMap(value)) return 'table';
  if (value instanceof Uint8Array) return 'string';
  return typeof value === 'object' ? 'function' : typeof value;
}

export function isCallable(value: LuaValue): value is LuaReference {
  return value instanceof LuaReference;
}

const encoder = new TextEncoder();
/** By type, what stands for each byte: itself, or its escape. */
const WRITTEN_BYTES = [/[!-~](?<![#%?])/, /[!-~](?<![#%+?])/, /[\w\-.~!'()*]/].map((kept) =>
  Array.from({ length: 256 }, (_, byte) => {
    const char = String.fromCharCode(byte);
    return kept.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }),
);
