import type { HeaderFields } from './fields.ts';

/**
 * The Cookie header as one line (RFC 6265 section 5.4); null: there is none. Runtimes join several lines with a comma. Only one
 * before the next `name=` is theirs: cookie values may hold no comma, but some do.
 */
export function cookiesOf(headers: HeaderFields): string | null {
  const value = headers.get('cookie');
  return value === null || !value.includes(',') ? value : value.replace(JOINED, '; ');
}

const JOINED = /, (?=[!#$%&'*+\-.^_`|~0-9A-Za-z]+=)/g;
