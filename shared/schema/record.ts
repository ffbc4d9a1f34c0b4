/** Plain-object work shared by filling, checking and printing rows: paths, emptiness, merging, copying. */

import { isRecord, type Row } from '../record.ts';

/** `a.b.c` in nested records; undefined where the path leads nowhere. */
export function getPath(row: unknown, path: readonly string[]): unknown {
  let value = row;
  for (const key of path) {
    if (!isRecord(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** Sets `a.b.c`, making records on the way; leaves the row alone where something else stands in the way. */
export function setPath(row: Row, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) {
    put(row, key, value);
    return;
  }
  const inner = row[key] ?? {};
  if (!isRecord(inner)) return;
  put(row, key, inner);
  setPath(inner, rest, value);
}

/** Assignment that is safe for keys from outside: `__proto__` becomes an ordinary field. */
export function put(row: Row, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(row, key, { value, enumerable: true, configurable: true, writable: true });
  } else row[key] = value;
}

/** Not null, not absent, not `""`, not an empty list or record. */
export function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return false;
  if (typeof value !== 'object') return true;
  return Array.isArray(value) ? value.length > 0 : Object.keys(value).length > 0;
}

export function copy<T>(value: T): T;
export function copy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => copy(item));
  const result: Row = {};
  for (const [key, item] of Object.entries(value)) put(result, key, copy(item));
  return result;
}

/** Whether two JSON values are the same, whatever the order of their keys. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  }
  if (!isRecord(a) || !isRecord(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
}
