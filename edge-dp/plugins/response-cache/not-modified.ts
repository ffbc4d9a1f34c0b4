import type { HeaderFields } from '../../http/fields.ts';
import { parseHttpDate } from '../../http/http-date.ts';

/** What an answer of 304 leaves out: it is about content that does not come (RFC 9110 section 15.4.5). */
export const NOT_IN_304: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-length',
  'content-range',
  'content-type',
]);

/** Headers of a copy, names in lower case. */
export type KeptFields = readonly (readonly [name: string, value: string])[];

/** Whether the client has what is kept, by its own conditions (RFC 9110 section 13.2.2); for GET and HEAD of a 200. */
export function isNotModified(asked: HeaderFields, kept: KeptFields): boolean {
  const tags = asked.get('if-none-match');
  if (tags !== null) {
    const tag = fieldOf(kept, 'etag');
    return tags.trim() === '*' || (tag !== null && tagsOf(tags).includes(withoutWeakness(tag)));
  }
  const since = parseHttpDate(asked.get('if-modified-since') ?? '');
  if (since === null) return false;
  const modified = parseHttpDate(fieldOf(kept, 'last-modified') ?? '');
  return modified !== null && modified <= since;
}

/** The first of that name. */
export function fieldOf(fields: KeptFields, name: string): string | null {
  return fields.find(([own]) => own === name)?.[1] ?? null;
}

/** The opaque parts of a list: they are compared weakly. */
function tagsOf(list: string): readonly string[] {
  return list.match(/"[^"]*"/g) ?? [];
}

/** The opaque part of a tag. */
export function withoutWeakness(tag: string): string {
  return tag.trim().replace(/^W\//, '');
}
