/**
 * The directives of a Cache-Control field (RFC 9111 section 5.2), names in lower case, with their arguments unquoted; null for one
 * without. Of repeated ones the first counts (section 4.2.1).
 */
export type Directives = ReadonlyMap<string, string | null>;

export function parseCacheControl(value: string | null): Directives {
  if (value === null || value === '') return NONE;
  const directives = new Map<string, string | null>();
  for (const [, name = '', quoted, token] of value.matchAll(DIRECTIVE)) {
    const key = name.toLowerCase();
    if (!directives.has(key)) directives.set(key, quoted?.replace(/\\(.)/g, '$1') ?? token ?? null);
  }
  return directives;
}

const NONE: Directives = new Map();
const DIRECTIVE = /([^\s,=";]+)(?:=(?:"((?:\\.|[^"\\])*)"|([^\s,;"]*)))?/g;

/** The most seconds told apart (section 1.2.2). */
const MOST = 2 ** 31;

/**
 * The argument of a directive in seconds; null when it is not there. What is no whole number is 0, so that what it is about counts
 * as stale (section 4.2.1).
 */
export function seconds(directives: Directives, name: string): number | null {
  const argument = directives.get(name);
  if (argument === undefined) return null;
  return argument !== null && /^\d+$/.test(argument) ? Math.min(Number(argument), MOST) : 0;
}
