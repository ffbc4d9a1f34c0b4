import { type LuaMap, LuaReference, type LuaValue, NULL } from '../lua/value.ts';
import { isRecord } from '../record.ts';

/** A table with names, as a schema's parts are. Throws what is wrong with it. */
export function table(value: LuaValue, where: string): LuaMap {
  if (value instanceof Map) return value;
  throw new Error(`${where}: expected a table with names, found ${kindOf(value)}`);
}

/** A list. An empty table is one. */
export function list(value: LuaValue, where: string): readonly LuaValue[] {
  if (Array.isArray(value)) return value;
  if (value instanceof Map && value.size === 0) return [];
  throw new Error(`${where}: expected a list, found ${kindOf(value)}`);
}

export function texts(value: LuaValue, where: string): readonly string[] {
  return list(value, where).map((item) => text(item, where));
}

export function text(value: LuaValue, where: string): string {
  if (typeof value === 'string') return value;
  throw new Error(`${where}: expected a text, found ${kindOf(value)}`);
}

export function number(value: LuaValue, where: string): number {
  if (typeof value === 'number') return value;
  throw new Error(`${where}: expected a number, found ${kindOf(value)}`);
}

export function fn(value: LuaValue, where: string): LuaReference {
  if (value instanceof LuaReference) return value;
  throw new Error(`${where}: expected a function, found ${kindOf(value)}`);
}

/** A Lua value as JSON: `asList` says what an empty table is. Throws for what JSON has no form for. */
export function plain(value: LuaValue, where: string, asList = false): unknown {
  if (value === NULL || value === undefined || value === null) return null;
  if (value instanceof Map) {
    if (value.size === 0) return asList ? [] : {};
    return Object.fromEntries([...value].map(([key, item]) => [text(key, where), plain(item, where)]));
  }
  if (Array.isArray(value)) return value.map((item) => plain(item, where));
  if (typeof value === 'object' || typeof value === 'symbol') {
    throw new Error(`${where}: expected a plain value, found ${kindOf(value)}`);
  }
  return value;
}

/** JSON as Lua has it, nulls kept. */
export function luaOf(value: unknown): LuaValue {
  if (value === null) return NULL;
  if (Array.isArray(value)) return value.map(luaOf);
  if (isRecord(value)) return new Map(Object.entries(value).map(([key, item]) => [key, luaOf(item)]));
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
}

function kindOf(value: LuaValue): string {
  if (value === undefined || value === null) return 'nothing';
  if (value === NULL) return 'ngx.null';
  if (value instanceof LuaReference) return 'a function';
  if (value instanceof Map) return 'a table with names';
  if (Array.isArray(value)) return 'a list';
  return value instanceof Uint8Array ? 'a text that is no UTF-8' : `a ${typeof value}`;
}
