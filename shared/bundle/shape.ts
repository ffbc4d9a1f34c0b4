import { isRecord, type Row } from '../record.ts';
import { messageOf } from '../thrown.ts';
import { withoutUnseen } from '../unseen.ts';

/**
 * Reading JSON of unknown shape, once, at the edge: each reader returns the typed value or throws a `ShapeError` that
 * says where the value stands, what was expected there and what was found.
 */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** Parses JSON text; `where` names the text in the error. */
export function json(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ShapeError(`${where} is not JSON: ${messageOf(error)}`);
  }
}

/** Any JSON object. */
export function object(value: unknown, where: string): Readonly<Row> {
  if (!isRecord(value)) throw expected('an object', value, where);
  return value;
}

/** An object with all of `required` and nothing outside `required` and `optional`. */
export function exactObject(
  value: unknown,
  where: string,
  required: readonly string[],
  optional: readonly string[] = [],
): Readonly<Row> {
  const read = object(value, where);
  for (const name of required) {
    if (!Object.hasOwn(read, name)) throw new ShapeError(`${where} lacks '${name}'`);
  }
  for (const name of Object.keys(read)) {
    if (!required.includes(name) && !optional.includes(name)) {
      throw new ShapeError(`${where} has an unknown member '${name}'`);
    }
  }
  return read;
}

/** Any array. */
export function array(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw expected('an array', value, where);
  return value;
}

/** Any string. */
export function string(value: unknown, where: string): string {
  if (typeof value !== 'string') throw expected('a string', value, where);
  return value;
}

/** A string that matches `pattern` as a whole; `what` describes it in the error. */
export function stringLike(value: unknown, where: string, pattern: RegExp, what: string): string {
  const read = string(value, where);
  if (!pattern.test(read)) throw expected(what, read, where);
  return read;
}

/** One of these strings. */
export function oneOf<const T extends string>(value: unknown, where: string, allowed: readonly T[]): T {
  const read = string(value, where);
  const found = allowed.find((candidate) => candidate === read);
  if (found === undefined) throw expected(`one of ${allowed.join(', ')}`, read, where);
  return found;
}

/** An integer within [min, max]. */
export function integer(value: unknown, where: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    const bounds = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw expected(`an integer ${bounds}`, value, where);
  }
  return value;
}

/** A name that may stand in a log line as it is. */
const PLAIN = /^[\w.-]{1,64}$/;

/** An object whose values `read` understands, as a plain record without a prototype to stumble over. */
export function recordOf<T>(
  value: unknown,
  where: string,
  read: (value: unknown, where: string) => T,
): Readonly<Record<string, T>> {
  const result: Record<string, T> = Object.create(null);
  for (const [name, entry] of Object.entries(object(value, where))) {
    result[name] = read(entry, `${where}.${PLAIN.test(name) ? name : describe(name)}`);
  }
  return result;
}

/** What `read` understands; null, also where there is nothing. */
export function nullable<T>(value: unknown, where: string, read: (value: unknown, where: string) => T): T | null {
  return value === null || value === undefined ? null : read(value, where);
}

/** An array of what `read` understands. */
export function arrayOf<T>(value: unknown, where: string, read: (value: unknown, where: string) => T): readonly T[] {
  return array(value, where).map((entry, position) => read(entry, `${where}[${position}]`));
}

function expected(what: string, found: unknown, where: string): ShapeError {
  return new ShapeError(`${where}: expected ${what}, found ${describe(found)}`);
}

/** Short enough for a log line, whatever a peer sent. */
function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  const text = withoutUnseen(JSON.stringify(value));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
