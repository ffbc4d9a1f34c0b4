import type { Row } from '../../shared/record.ts';

/** Fields of what isolates and Durable Objects tell each other. Both throw a `TypeError` that names the field. */
export function text(read: Readonly<Row>, field: string): string {
  const value = read[field];
  if (typeof value !== 'string') throw new TypeError(`${field} must be a text`);
  return value;
}

export function number(read: Readonly<Row>, field: string): number {
  const value = read[field];
  if (typeof value !== 'number') throw new TypeError(`${field} must be a number`);
  return value;
}
