import type { Predicate } from './ast.ts';
import { isCaseless } from './fields.ts';

/** The patterns routes are matched by, as they are compiled: one text for the check of a write and for the match. */

/** Of a path that begins with `~`: found at the beginning of the request's. */
export function pathPattern(path: string): string {
  return `^${path.slice(1).replaceAll('?<', '?P<')}`;
}

/** Of a header's value that begins with `~*`, null for all others. `lowered`: as all flavours but `traditional` do. */
export function headerPattern(value: string, lowered: boolean): string | null {
  if (!value.startsWith('~*')) return null;
  return lowered ? value.slice(2).toLowerCase() : value.slice(2);
}

/** Of an expression's `~`. */
export function predicatePattern({ field, value }: Pick<Predicate, 'field' | 'value'>): string {
  const pattern = value.type === 'String' ? value.text : '';
  return isCaseless(field) ? `(?i)${pattern}` : pattern;
}
