import { type LuaValue, NULL } from '../../shared/lua/value.ts';
import { isList } from './arguments.ts';

/** Lua values as JSON, as lua-cjson has them: a table with keys 1…n is an array, an empty one an object. Throws with cjson's words. */
export function encodeJson(value: LuaValue): string {
  return print(value, 0);
}

/** JSON as Lua values; null is `cjson.null`. Throws with cjson's words. */
export function decodeJson(text: string): LuaValue {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error('Expected value but found invalid token at character 1');
  }
  return fromJson(parsed, 0);
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

function print(value: LuaValue, depth: number): string {
  if (depth > MAX_DEPTH) throw new Error(`Cannot serialise, excessive depth (${depth})`);
  if (value === undefined || value === null || value === NULL) return 'null';
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error('Cannot serialise number: must not be NaN or Infinity');
    return JSON.stringify(value);
  }
  if (typeof value === 'string') return text(value);
  if (typeof value === 'boolean') return String(value);
  if (value instanceof Uint8Array) return text(new TextDecoder().decode(value));
  if (isList(value)) return `[${value.map((item) => print(item, depth + 1)).join(',')}]`;
  if (value instanceof Map) return object(value, depth);
  throw new Error('Cannot serialise function: type not supported');
}

function object(value: ReadonlyMap<LuaValue, LuaValue>, depth: number): string {
  const members = [...value].map(([key, item]) => {
    if (typeof key !== 'string' && typeof key !== 'number' && !(key instanceof Uint8Array)) {
      throw new Error('Cannot serialise table: table key must be a number or string');
    }
    const name = key instanceof Uint8Array ? new TextDecoder().decode(key) : String(key);
    return `${text(name)}:${print(item, depth + 1)}`;
  });
  return `{${members.join(',')}}`;
}

/** As cjson writes it: slashes are escaped. */
function text(value: string): string {
  return JSON.stringify(value).replaceAll('/', '\\/');
}
