import { parseAsCjson } from '../../shared/lua/cjson.ts';
import { type LuaValue, NULL } from '../../shared/lua/value.ts';
import { isRecord } from '../../shared/record.ts';
import { isList, typeOf } from './arguments.ts';

/** Settings of lua-cjson: empty tables are arrays; slashes are not escaped. */
interface Spelling {
  readonly emptyAsLists: boolean;
  readonly bareSlashes: boolean;
}

const USUAL: Spelling = { emptyAsLists: false, bareSlashes: false };

/** Lua values as JSON, as lua-cjson has them: a table with keys 1…n is an array, an empty one an object. Throws with cjson's words. */
export function encodeJson(value: LuaValue, spelling = USUAL): string {
  return print(value, 0, spelling);
}

/** JSON as Lua values; null is `cjson.null`. `marked`: empty arrays have a key by which they are told from empty objects. Throws with cjson's words. */
export function decodeJson(text: string, marked = false): LuaValue {
  let parsed: unknown;
  try {
    parsed = parseAsCjson(text);
  } catch {
    throw new Error('Expected value but found invalid token at character 1');
  }
  return fromJson(marked ? withMarks(parsed) : parsed, 0);
}

/** What the prelude knows empty arrays by. */
const EMPTY_LIST = { '\0[]': true };

function withMarks(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? EMPTY_LIST : value.map(withMarks);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withMarks(item)]));
}

/** JSON that JavaScript has read, as Lua values. */
export function fromJson(value: unknown, depth = 0, otherwise: LuaValue = NULL): LuaValue {
  if (depth > MAX_DEPTH) throw new Error(`Found too many nested data structures (${depth})`);
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'boolean':
      return value;
    case 'object': {
      if (value === null) return otherwise;
      if (value instanceof Uint8Array) return value;
      if (Array.isArray(value)) return value.map((item) => fromJson(item, depth + 1, otherwise));
      return new Map(Object.entries(value).map(([key, item]) => [key, fromJson(item, depth + 1, otherwise)]));
    }
    default:
      return undefined;
  }
}

const MAX_DEPTH = 1000;

function print(value: LuaValue, depth: number, spelling: Spelling): string {
  if (depth > MAX_DEPTH) throw new Error(`Cannot serialise, excessive depth (${depth})`);
  if (value === undefined || value === null || value === NULL) return 'null';
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error('Cannot serialise number: must not be NaN or Infinity');
    return JSON.stringify(value);
  }
  if (typeof value === 'string') return text(value, spelling);
  if (typeof value === 'boolean') return String(value);
  if (value instanceof Uint8Array) return text(new TextDecoder().decode(value), spelling);
  if (isList(value)) return `[${value.map((item) => print(item, depth + 1, spelling)).join(',')}]`;
  if (value instanceof Map) return value.size === 0 && spelling.emptyAsLists ? '[]' : object(value, depth, spelling);
  throw new Error('Cannot serialise function: type not supported');
}

function object(value: ReadonlyMap<LuaValue, LuaValue>, depth: number, spelling: Spelling): string {
  const members = [...value].map(([key, item]) => {
    if (typeof key !== 'string' && typeof key !== 'number' && !(key instanceof Uint8Array)) {
      throw new Error(`Cannot serialise ${typeOf(key)}: table key must be a number or string`);
    }
    const name = key instanceof Uint8Array ? new TextDecoder().decode(key) : String(key);
    return `${text(name, spelling)}:${print(item, depth + 1, spelling)}`;
  });
  return `{${members.join(',')}}`;
}

/** As cjson writes it: slashes are escaped unless it is told not to. */
function text(value: string, { bareSlashes }: Spelling): string {
  const json = JSON.stringify(value);
  return bareSlashes ? json : json.replaceAll('/', '\\/');
}
