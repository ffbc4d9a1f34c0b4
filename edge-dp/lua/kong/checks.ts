import type { LuaCall, LuaValue } from '../../../shared/lua/value.ts';
import { isList, isMap } from '../arguments.ts';

/** What the functions of `kong` say of arguments that are none, in Kong's words. */

/** A text, and no number in its place. */
export function stringOf(call: LuaCall, at: number, name: string): string {
  if (call.type(at) !== 'string') throw new Error(`${name} must be a string`);
  return call.text(at);
}

/** An integer between two bounds. */
export function integerOf(call: LuaCall, at: number, name: string, least: number, most: number): number {
  const value = call.type(at) === 'number' ? call.number(at) : Number.NaN;
  if (!Number.isInteger(value)) throw new Error(`${name} must be an integer`);
  if (value < least || value > most) {
    throw new Error(`${name} must be an integer between ${least} and ${most}: given ${value}`);
  }
  return value;
}

/** The name of a header that is to be set, and its lines: none for a list without any. */
export function headerOfCall(call: LuaCall): readonly [name: string, lines: string[]] {
  const name = call.type(1) === 'string' ? call.text(1) : wrongName(call.value(1));
  return [name, headerLines(name, call.value(2))];
}

/** The headers that are to be set, and their lines. */
export function headersOfCall(call: LuaCall, at: number): (readonly [name: string, lines: string[]])[] {
  const table = call.value(at);
  if (isList(table)) {
    if (table.length > 0) wrongName(1);
    return [];
  }
  if (!isMap(table)) throw new Error('headers must be a table');
  return [...table].map(([name, value]) => {
    const text = typeof name === 'string' ? name : wrongName(name);
    return [text, headerLines(text, value)];
  });
}

function wrongName(name: LuaValue): never {
  throw new Error(`invalid header name "${String(name)}": got ${typeOf(name)}, expected string`);
}

/** A header's lines: one, or those of a list. Throws for what is neither. */
export function headerLines(name: string, value: LuaValue): string[] {
  if (isList(value)) {
    return value.map((each) => {
      const line = textOf(each);
      if (line === null) {
        throw new Error(`invalid header value in array "${name}": got ${typeOf(each)}, expected string`);
      }
      return line;
    });
  }
  if (isMap(value) && value.size === 0) return [];
  const line = typeof value === 'number' || typeof value === 'boolean' ? String(value) : textOf(value);
  if (line === null) {
    throw new Error(
      `invalid header value for "${name}": got ${typeOf(value)}, expected array of string, string, number or boolean`,
    );
  }
  return [line];
}

/** Bytes that are no UTF-8 are a header's, too. */
function textOf(value: LuaValue): string | null {
  if (value instanceof Uint8Array)
    return Array.from(value, (byte) => String.fromCharCode(byte))
      .join('')
      .trim();
  return typeof value === 'string' ? value.trim() : null;
}

function typeOf(value: LuaValue): string {
  if (value === undefined || value === null) return 'nil';
  if (isList(value) || isMap(value)) return 'table';
  if (value instanceof Uint8Array) return 'string';
  return typeof value === 'object' ? 'function' : typeof value;
}
