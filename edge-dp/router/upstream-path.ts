/** What decides the path of the request target upstream. */
interface UpstreamPath {
  /** `service.path`. */
  readonly servicePath: string | null;
  /** The normalised request path and the part of it the route matched, from `RouteMatch`. */
  readonly path: string;
  readonly matchedPrefix: string | null;
  readonly stripPath: boolean;
  /** `v1` is honoured in the `traditional` flavour only; pass `v0` in the others, as Kong does. */
  readonly handling: 'v0' | 'v1';
}

/** The upstream path, escaped for the wire; the query is not its business. */
export function upstreamPath({ servicePath, path, matchedPrefix, stripPath, handling }: UpstreamPath): string {
  const base = servicePath ?? '/';
  const postfix = withoutDots(path.slice(matchedPrefix === null ? 1 : matchedPrefix.length));
  const joined =
    handling === 'v1' ? joinPlainly(base, stripPath ? postfix : path.slice(1)) : join(base, postfix, path, stripPath);
  return escapePath(joined);
}

/** A prefix cut inside a segment may leave dots that would climb out of the service's path. */
function withoutDots(postfix: string): string {
  if (postfix === '.' || postfix === '..') return '';
  if (postfix.startsWith('./')) return postfix.slice(2);
  return postfix.startsWith('../') ? postfix.slice(3) : postfix;
}

/** v1: one after the other; only a doubled slash is avoided. */
function joinPlainly(base: string, postfix: string): string {
  return base.endsWith('/') && postfix.startsWith('/') ? base + postfix.slice(1) : base + postfix;
}

function join(base: string, postfix: string, path: string, stripPath: boolean): string {
  const bare = base.endsWith('/') ? base.slice(0, -1) : base;
  if (!stripPath) return base.endsWith('/') || path !== '/' ? bare + path : base;
  if (postfix !== '') return postfix.startsWith('/') ? bare + postfix : `${bare}/${postfix}`;
  if (base === '/') return '/';
  return path.length > 1 && path.endsWith('/') ? `${bare}/` : base.endsWith('/') && !path.endsWith('/') ? bare : base;
}

const SAFE = /^[!#$&'()*+,/:;=?@[\]A-Za-z0-9\-_.~%]*$/;
const UNSAFE = /[^!#$&'()*+,/:;=?@[\]A-Za-z0-9\-_.~%]+/g;
const UTF8 = new TextEncoder();

/** Escapes what may not stand in a request target; existing escapes stay as they are. */
function escapePath(path: string): string {
  return SAFE.test(path) ? path : path.replace(UNSAFE, escapeBytes);
}

function escapeBytes(text: string): string {
  let escaped = '';
  for (const byte of UTF8.encode(text)) escaped += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return escaped;
}
