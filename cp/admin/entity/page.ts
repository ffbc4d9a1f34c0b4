import * as errors from '../../../shared/schema/errors.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import type { PageQuery } from '../../store/store.ts';
import type { QueryParameter } from '../openapi/description.ts';
import type { Query } from '../request/query.ts';

const MAX_PAGE_SIZE = 1000;
const MAX_TAGS = 5;
/** Printable ASCII without `,` and `/`, and everything beyond ASCII. */
const TAG = '[\\x20-\\x2B\\x2D\\x2E\\x30-\\x7E\\x80-\\u{10FFFF}]+';
const TAGS_ALL = new RegExp(`^(?:${TAG}(?:,|$))+$`, 'u');
const TAGS_ANY = new RegExp(`^(?:${TAG}(?:/|$))+$`, 'u');

/** What every list takes in its query. */
export const pageParameters: readonly QueryParameter[] = [
  {
    name: 'size',
    description: 'Rows per page.',
    schema: { type: 'integer', minimum: 1, maximum: MAX_PAGE_SIZE, default: 100 },
  },
  { name: 'offset', description: 'Token of the page, from `offset` of the one before.', schema: { type: 'string' } },
];

export const tagsParameter: QueryParameter = {
  name: 'tags',
  description: 'Only rows with all of these tags (`a,b`), or with any of them (`a/b`); at most five.',
  schema: { type: 'string' },
};

/** `size` and `offset` as the store takes them. Throws Kong's code 9 for a size that is none. */
export function pageBounds(query: Query): Pick<PageQuery, 'size' | 'offset'> {
  const size = query.get('size');
  const offset = query.get('offset');
  return { ...(size === undefined ? {} : { size: pageSize(size) }), ...(offset === undefined ? {} : { offset }) };
}

function pageSize(text: string): number {
  const size = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isNaN(size)) throw errors.invalidSize('size must be a number');
  if (!Number.isInteger(size) || size < 1 || size > MAX_PAGE_SIZE) {
    throw errors.invalidSize(`size must be an integer between 1 and ${MAX_PAGE_SIZE}`);
  }
  return size;
}

/** The tags filter of an entity that has tags. Throws Kong's code 11 for one that cannot be meant. */
export function tagsFilter(schema: EntitySchema, query: Query): Pick<PageQuery, 'tags'> {
  const text = query.get('tags');
  if (text === undefined || !('tags' in schema.fields)) return {};
  if (text === '') throw errors.invalidOptions({ tags: 'cannot be null' });
  const mode = TAGS_ALL.test(text) ? 'all' : TAGS_ANY.test(text) ? 'any' : null;
  if (mode === null) throw errors.invalidOptions({ tags: 'invalid filter syntax' });
  const tags = text.split(mode === 'all' ? ',' : '/').filter((tag) => tag !== '');
  if (tags.length > MAX_TAGS) throw errors.invalidOptions({ tags: `cannot query more than ${MAX_TAGS} tags` });
  return { tags: { mode, tags } };
}

/** A page as Kong answers it. `path` is the collection's, `keep` the arguments `next` repeats. */
export function pageBody<T>(
  page: { readonly rows: readonly T[]; readonly offset?: string },
  path: string,
  keep: Readonly<Record<string, string | undefined>> = {},
): { data: readonly T[]; offset?: string; next: string | null } {
  if (page.offset === undefined) return { data: page.rows, next: null };
  const kept = Object.entries(keep).flatMap(([name, value]) =>
    value === undefined ? [] : [`&${name}=${encodeURIComponent(value)}`],
  );
  return {
    data: page.rows,
    offset: page.offset,
    next: `${path}?offset=${encodeURIComponent(page.offset)}${kept.join('')}`,
  };
}
