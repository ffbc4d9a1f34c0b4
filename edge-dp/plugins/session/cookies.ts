import type { SessionSettings } from './settings.ts';

/** Characters of one cookie's value: browsers take 4,096 bytes with name and attributes. */
const LONGEST_VALUE = 3_600;
/** Cookies a long value is spread over at most. */
const MOST_PARTS = 9;

/** The value of a cookie, put together again where it was spread; null: it did not come. */
export function cookieOf(header: string | null, name: string): string | null {
  if (header === null) return null;
  let whole: string | null = null;
  for (let part = 1; part <= MOST_PARTS; part++) {
    const value = cookieNamed(header, partName(name, part));
    if (value === null || value === '') return whole;
    whole = (whole ?? '') + value;
    // Only a full one goes on in the next.
    if (value.length < LONGEST_VALUE) return whole;
  }
  return whole;
}

function cookieNamed(header: string, name: string): string | null {
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return null;
}

function partName(name: string, part: number): string {
  return part === 1 ? name : `${name}${part}`;
}

/** Set-Cookie lines that keep a value, for `maxAge` seconds or (null) until the browser closes. Null: it is too long for cookies. */
export function setCookies(
  config: SessionSettings,
  name: string,
  value: string,
  maxAge: number | null,
): readonly string[] | null {
  const count = Math.max(1, Math.ceil((value.length + 1) / LONGEST_VALUE));
  if (count > MOST_PARTS) return null;
  const ends =
    maxAge === null ? '' : `; Expires=${new Date(Date.now() + maxAge * 1000).toUTCString()}; Max-Age=${maxAge}`;
  return Array.from({ length: count }, (_, place) => {
    const part = value.slice(place * LONGEST_VALUE, (place + 1) * LONGEST_VALUE);
    return `${partName(name, place + 1)}=${part}${attributes(config)}${ends}`;
  });
}

/** Set-Cookie lines that take away what the request brought under that name. */
export function clearCookies(config: SessionSettings, name: string, header: string | null): readonly string[] {
  const lines: string[] = [];
  for (let part = 1; part <= MOST_PARTS; part++) {
    const own = partName(name, part);
    if (part > 1 && cookieNamed(header ?? '', own) === null) break;
    lines.push(`${own}=${attributes(config)}; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0`);
  }
  return lines;
}

/** In lua-resty-session's order. */
function attributes(config: SessionSettings): string {
  return [
    ...(config.cookie_domain ? [`; Domain=${config.cookie_domain}`] : []),
    `; Path=${config.cookie_path}`,
    // Browsers take `Default` for none of their own words, and so for their default.
    `; SameSite=${config.cookie_same_site}`,
    // Browsers take SameSite=None and Secure only together.
    ...(config.cookie_secure || config.cookie_same_site === 'None' ? ['; Secure'] : []),
    ...(config.cookie_http_only ? ['; HttpOnly'] : []),
  ].join('');
}
