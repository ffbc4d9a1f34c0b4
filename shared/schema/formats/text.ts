import { unseenCharacter } from '../../unseen.ts';

/** Names, tags, header and cookie names, URLs: one function each, the error text or nothing. */

/** Kong counts bytes from 1 and stops at the first that is no UTF-8; in a string that can only be a lone surrogate. */
function utf8Error(text: string): string | undefined {
  if (text.isWellFormed()) return undefined;
  const index = [...text].findIndex((char) => !char.isWellFormed());
  const before = [...text].slice(0, index).join('');
  const position = new TextEncoder().encode(before).length + 1;
  return `invalid utf-8 character sequence detected at position ${position}`;
}

/** Text that names something, or is shown, must not hold what nobody sees. A tab is seen. */
export function unseenError(text: string): string | undefined {
  const character = unseenCharacter(text.replaceAll('\t', ' '));
  return character === undefined ? undefined : `must not hold ${character}: control and format characters are not seen`;
}

/** Names of entities: letters, digits, `.`, `-`, `_`, `~` and everything beyond ASCII. */
export function nameError(name: string): string | undefined {
  if (/^[\w.\-~\u0080-\uffff]+$/.test(name)) return utf8Error(name) ?? unseenError(name);
  return (
    utf8Error(name) ?? `invalid value '${name}': the only accepted ascii characters are alphanumerics or ., -, _, and ~`
  );
}

/** Printable ASCII but `,` and `/`, which `GET /…?tags=` joins them with, and everything beyond ASCII. */
export function tagError(tag: string): string | undefined {
  if (/^[\x20-\x2b\x2d\x2e\x30-\x7e\u0080-\uffff]+$/.test(tag)) return utf8Error(tag) ?? unseenError(tag);
  return (
    utf8Error(tag) ?? `invalid tag '${tag}': expected printable ascii (except \`,\` and \`/\`) or valid utf-8 sequences`
  );
}

/** Narrower than RFC 9110's token, as Kong is. */
export function headerNameError(name: string): string | undefined {
  if (name === '') return 'no header name provided';
  if (/^[\w-]+$/.test(name)) return undefined;
  return `bad header name '${name}', allowed characters are A-Z, a-z, 0-9, '_', and '-'`;
}

/** RFC 2616 token. */
export function cookieNameError(name: string): string | undefined {
  if (name === '') return 'no token provided';
  if (/^[!#$%&'*+\-.^\w`|~]+$/.test(name)) return undefined;
  return (
    'contains one or more invalid characters. ' +
    'ASCII control characters (0-31;127), space, tab and the characters ()<>@,;:\\"/?={}[] are not allowed.'
  );
}

/** The parts of `scheme://user@host:port/path` that checks ask for; looser than the URL standard, as Kong is. */
interface UrlParts {
  readonly scheme?: string;
  readonly userinfo?: string;
  readonly host?: string;
  readonly port?: string;
  readonly path?: string;
  readonly fragment?: string;
}

/** Never fails: what is missing is absent. */
export function parseUrl(text: string): UrlParts {
  const [, scheme, authority, path, fragment] =
    /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?[^#]*)?(?:#(.*))?$/is.exec(text) ?? [];
  const [, userinfo, host, port] = /^(?:(.*)@)?(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority ?? '') ?? [];
  return {
    ...(scheme && { scheme: scheme.toLowerCase() }),
    ...(userinfo !== undefined && { userinfo }),
    ...(host && { host: host.replace(/^\[|\]$/g, '') }),
    ...(port && { port }),
    ...(path && { path }),
    ...(fragment !== undefined && { fragment }),
  };
}

/**
 * An absolute URL: with scheme and host, which a data plane can read, unlike some of what Kong takes (`http://[`, a port of 99999).
 * Some readers of URLs leave line breaks out, so none may be in one.
 */
export function urlError(text: string): string | undefined {
  const unseen = unseenCharacter(text);
  if (unseen !== undefined) return `must not hold ${unseen}: control and format characters are not seen`;
  const { host, scheme } = parseUrl(text);
  if (host === undefined) return 'missing host in url';
  if (scheme === undefined) return 'missing scheme in url';
  return URL.canParse(text) ? undefined : 'invalid host or port in url';
}
