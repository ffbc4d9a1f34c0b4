import { invalidOffset, invalidSize } from '../../shared/schema/errors.ts';

const DEFAULT_PAGE_SIZE = 100;
const LARGEST_PAGE_SIZE = 1000;

/** Checks a page size, 100 when absent. Throws code 9. */
export function pageSize(size: number | undefined): number {
  if (size === undefined) return DEFAULT_PAGE_SIZE;
  if (!Number.isInteger(size) || size < 1 || size > LARGEST_PAGE_SIZE) throw invalidSize();
  return size;
}

/** The token of the page after the row with these key values, as Kong makes it: base64 of their JSON array. */
export function pageToken(key: readonly string[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64');
}

/** The key values a token stands for. Throws code 7. */
export function readPageToken(token: string, members: number, acceptable: (member: string) => boolean): string[] {
  const digits = /^([A-Za-z0-9+/]+)={0,2}$/.exec(token)?.[1];
  // One digit over is six bits, less than a byte.
  if (digits === undefined || digits.length % 4 === 1) throw invalidOffset(token, 'bad base64 encoding');
  const key = parseJson(Buffer.from(token, 'base64').toString('utf8'));
  const strings = Array.isArray(key) ? key.filter((member) => typeof member === 'string') : [];
  if (!Array.isArray(key) || key.length !== members || strings.length !== members || !strings.every(acceptable)) {
    throw invalidOffset(token, 'bad json encoding');
  }
  return strings;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
