import { LuaNative, type LuaValue, NULL } from '../../../shared/lua/value.ts';
import { messageOf } from '../../../shared/thrown.ts';
import { changeLogEntry, logEntry } from '../../plugins/log-entry.ts';
import { isMap } from '../arguments.ts';
import { contextIn, contextOf } from '../context.ts';
import { fromJson } from '../json.ts';

/** `kong.log.serialize`: the log entry of the request. */
export const serialize = new LuaNative('serialize', (call) => {
  const { logged } = contextIn(call, 'kong.log.serialize', ['log']);
  return logged === null ? undefined : fromJson(logEntry(logged), 0, undefined);
});

const MODES = ['set', 'add', 'replace'] as const;

/** `kong.log.set_serialize_value(key, value, options)`. */
export const setSerializeValue = new LuaNative('set_serialize_value', (call) => {
  const { subject, site } = contextOf(call);
  if (call.type(1) !== 'string') throw new Error('key must be a string');
  const options = call.value(3);
  if (options !== undefined && !isMap(options)) throw new Error('options must be a table');
  const given = options?.get('mode') ?? 'set';
  const mode = MODES.find((known) => known === given);
  if (mode === undefined) throw new Error("mode must be 'set', 'add' or 'replace'");
  const path = call.text(1);
  try {
    changeLogEntry(subject, { path, value: jsonOf(call.value(2)), mode });
  } catch (error) {
    // The request is none the worse for what its entry cannot say.
    site.services.log('error', `${site.plugin}: ${path} is left out of the log entry: ${messageOf(error)}`);
  }
  return undefined;
});

/** A value as lua-cjson would write it into the entry. Throws Kong's words for what cannot be in one. */
export function jsonOf(value: LuaValue, depth = 0): unknown {
  if (value === NULL) return null;
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(INVALID);
  if (value === undefined || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value;
  if (depth > MAX_DEPTH) throw new Error(INVALID);
  if (Array.isArray(value)) return value.map((item: LuaValue) => jsonOf(item, depth + 1) ?? null);
  if (!isMap(value)) throw new Error(INVALID);
  return (
    sparseList(value, depth) ??
    Object.fromEntries([...value].map(([key, item]) => [nameOf(key), jsonOf(item, depth + 1)]))
  );
}

const INVALID =
  'value must be nil, a number, string, boolean or a non-self-referencial table containing numbers, string and booleans';
const MAX_DEPTH = 100;
/** Holes in a list up to here are nulls; in longer ones only where at least half is there. */
const SAFE = 10;

/** A table with nothing but positive whole numbers as keys. */
function sparseList(table: ReadonlyMap<LuaValue, LuaValue>, depth: number): readonly unknown[] | null {
  let last = 0;
  for (const key of table.keys()) {
    if (typeof key !== 'number' || !Number.isInteger(key) || key < 1) return null;
    last = Math.max(last, key);
  }
  if (last === 0 || (last > SAFE && last > table.size * 2)) return null;
  return Array.from({ length: last }, (_, at) => jsonOf(table.get(at + 1), depth + 1) ?? null);
}

function nameOf(key: LuaValue): string {
  if (typeof key === 'string' || typeof key === 'number') return String(key);
  if (key instanceof Uint8Array) return new TextDecoder().decode(key);
  throw new Error(INVALID);
}
