import type { HeaderFields } from '../../http/fields.ts';
import { fieldOf, type KeptFields } from './not-modified.ts';

/** Places of the first and the last byte. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The part of a body of `length` bytes that a Range asks for (RFC 9110 section 14.2). Null: all of it, since nothing is asked for, it
 * is none of bytes, there are several, or `If-Range` is about another body.
 */
export function rangeOf(asked: HeaderFields, kept: KeptFields, length: number): ByteRange | 'unsatisfiable' | null {
  const [, from, to] = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(asked.get('range') ?? '') ?? [];
  if (from === undefined || to === undefined || (from === '' && to === '')) return null;
  if (!isSameBody(asked.get('if-range'), kept)) return null;
  if (from === '') {
    const suffix = Math.min(Number(to), length);
    return suffix === 0 ? 'unsatisfiable' : { first: length - suffix, last: length - 1 };
  }
  const first = Number(from);
  const last = to === '' ? length - 1 : Math.min(Number(to), length - 1);
  if (to !== '' && Number(to) < first) return null;
  return first >= length ? 'unsatisfiable' : { first, last };
}

/** A strong tag, or the very date (section 13.1.5). */
function isSameBody(condition: string | null, kept: KeptFields): boolean {
  if (condition === null) return true;
  const value = condition.trim();
  if (value.startsWith('W/')) return false;
  return value === fieldOf(kept, value.startsWith('"') ? 'etag' : 'last-modified')?.trim();
}
