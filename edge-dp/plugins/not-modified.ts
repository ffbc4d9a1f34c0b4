import type { HeaderFields } from '../http/fields.ts';
import { parseHttpDate } from '../http/http-date.ts';

/** What an answer of 304 leaves out: it is about content that does not come (RFC 9110 section 15.4.5). */
export const NOT_IN_304: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-length',
  'content-range',
  'content-type',
]);

/** Whether the client has what is kept, by its own conditions (RFC 9110 section 13.2.2); for GET and HEAD of a 200. */
export function isNotModified(asked: HeaderFields, kept: readonly (readonly [name: string, value: string])[]): boolean {
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

function fieldOf(fields: readonly (readonly [name: string, value: string])[], name: string): string | null {
  return fields.find(([own]) => own === name)?.[1] ?? null;
}

/** The opaque parts of a list: they are compared weakly. */
function tagsOf(list: string): readonly string[] {
  return list.match(/"[^"]*"/g) ?? [];
}

function withoutWeakness(tag: string): string {
  return tag.trim().replace(/^W\//, '');
}
