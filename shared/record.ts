/** JSON of unknown shape: what it is, and how it is read. */

/** A JSON object, such as an entity's row: every field unknown until something has looked. */
export type Row = { [field: string]: unknown };

/** An object that is no list. */
export function isRecord(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The record `value` is, or an empty one. */
export function recordOrEmpty(value: unknown): Readonly<Row> {
  return isRecord(value) ? value : {};
}

/** The record `value` is. Throws `TypeError` naming `what` when it is none. */
export function mustBeRecord(value: unknown, what: string): Readonly<Row> {
  if (!isRecord(value)) throw new TypeError(`${what} must be an object`);
  return value;
}
