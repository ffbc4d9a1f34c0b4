/** Rows with all of some tags, or with any of them. */
export interface TagFilter {
  readonly mode: 'all' | 'any';
  readonly tags: readonly string[];
}

/** Reads a filter as Kong writes it: `a,b` for all of them, `a/b` for any. Null for one that mixes the two, or has none. */
export function parseTagFilter(text: string): TagFilter | null {
  const [all, any] = [text.includes(','), text.includes('/')];
  if (all && any) return null;
  const tags = text.split(any ? '/' : ',').filter((tag) => tag !== '');
  return tags.length === 0 ? null : { mode: any ? 'any' : 'all', tags };
}

/** Whether a row with these tags is meant. */
export function passesTagFilter(filter: TagFilter, tags: unknown): boolean {
  if (!Array.isArray(tags)) return false;
  return filter.mode === 'all'
    ? filter.tags.every((tag) => tags.includes(tag))
    : filter.tags.some((tag) => tags.includes(tag));
}
