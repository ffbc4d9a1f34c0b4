import type { LuaCall, LuaList, LuaMap, LuaValue } from '../../../shared/lua/value.ts';
import { FieldList, type HeaderFields } from '../../http/fields.ts';
import { RequestHeaders } from '../../plugins/runtime/request-headers.ts';
import { isList, isMap, typeOf } from '../arguments.ts';

/** What the functions of `kong` say of arguments that are none, in Kong's words. */

/** What looking into those of the runtime itself costs, in instructions. */
const A_LOOK = 100;

/** Headers that a name is to be looked for in: where that takes going through them it counts, for a script may set very many. */
export function searched(call: LuaCall, headers: HeaderFields): HeaderFields {
  const fields = headers instanceof RequestHeaders ? headers.fields : headers;
  call.charge(fields instanceof FieldList ? fields.lines.length * 2 : A_LOOK);
  return headers;
}

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
    return [text, headerLines(text, value, 'string, number, boolean or array of strings')];
  });
}

function wrongName(name: LuaValue): never {
  throw new Error(`invalid header name "${String(name)}": got ${typeOf(name)}, expected string`);
}

/** A header's lines: one, or those of a list, whatever else its table has. Throws for what is neither. */
export function headerLines(
  name: string,
  value: LuaValue,
  expected = 'array of string, string, number or boolean',
): string[] {
  if (isList(value) || isMap(value)) {
    return sequenceOf(value).map((each) => {
      const line = textOf(each);
      if (line === null) {
        throw new Error(`invalid header value in array "${name}": got ${typeOf(each)}, expected string`);
      }
      return line;
    });
  }
  const line = typeof value === 'number' || typeof value === 'boolean' ? String(value) : textOf(value);
  if (line === null) {
    throw new Error(`invalid header value for "${name}": got ${typeOf(value)}, expected ${expected}`);
  }
  return [line];
}

/** What `ipairs` goes through. */
export function sequenceOf(table: LuaList | LuaMap): readonly LuaValue[] {
  if (isList(table)) return table;
  const items: LuaValue[] = [];
  for (let at = 1; table.has(at); at++) items.push(table.get(at));
  return items;
}

/** Bytes that are no UTF-8 are a header's, too. */
function textOf(value: LuaValue): string | null {
  if (value instanceof Uint8Array)
    return Array.from(value, (byte) => String.fromCharCode(byte))
      .join('')
      .trim();
  return typeof value === 'string' ? value.trim() : null;
}
