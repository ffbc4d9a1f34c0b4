import { decodedPath } from '../../shared/normalize-path.ts';
import { cookiesOf } from '../http/cookies.ts';
import type { HeaderFields } from '../http/fields.ts';
import { queryValues } from '../proxy/query.ts';
import type { HashSource, Upstream } from './upstream.ts';

/** What a request offers to hash on. */
export interface Hashable {
  readonly clientIp: string;
  readonly consumer: { readonly id: string } | null;
  readonly credential: { readonly id: string | null } | null;
  readonly headers: HeaderFields;
  /** The path as received. */
  readonly path: string;
  /** As received. */
  readonly query: string;
  readonly captures: { readonly [name: string]: string | undefined };
}

/** The text to hash, and the cookie that will bring the client back where there was none yet. */
interface HashKey {
  readonly key: string;
  readonly setCookie: string | null;
}

/** By `hash_on`, else `hash_fallback`; the empty text when neither has a value. */
export function hashKey(upstream: Upstream, request: Hashable): HashKey {
  const { source, value } = hashedBy(upstream, request) ?? { source: null, value: '' };
  if (value !== null) return { key: value, setCookie: null };
  const made = crypto.randomUUID();
  // Kong's spelling of SameSite, which browsers ignore: kept, for clients would otherwise see another policy.
  return { key: made, setCookie: `${source.name}=${made}; Path=${source.path}; Same-Site=Lax; HttpOnly` };
}

/** The source that has a value, or the cookie that is to be made; null: neither has one. */
export function hashedBy(
  upstream: Upstream,
  request: Hashable,
):
  | { readonly source: HashSource; readonly value: string }
  | { readonly source: Extract<HashSource, { kind: 'cookie' }>; readonly value: null }
  | null {
  for (const source of [upstream.hashOn, upstream.hashFallback]) {
    if (source.kind === 'none') break;
    const value = hashedValue(source, request);
    if (value !== null) return { source, value };
    if (source.kind === 'cookie') return { source, value };
  }
  return null;
}

function hashedValue(source: HashSource, request: Hashable): string | null {
  switch (source.kind) {
    case 'none':
      return null;
    case 'consumer':
      return request.consumer?.id ?? request.credential?.id ?? null;
    case 'ip':
      return request.clientIp === '' ? null : request.clientIp;
    case 'path':
      return decodedPath(request.path);
    case 'header':
      return request.headers.get(source.name) ?? request.headers.get(source.name.replaceAll('_', '-'));
    case 'query_arg': {
      const values = queryValues(request.query, source.name);
      return values.length === 0 ? null : values.map(String).sort().join(',');
    }
    case 'uri_capture':
      return request.captures[source.name] ?? null;
    case 'cookie':
      return cookieOf(cookiesOf(request.headers) ?? '', source.name);
  }
}

function cookieOf(header: string, name: string): string | null {
  for (const part of header.split(/[;,]/)) {
    const equals = part.indexOf('=');
    if (equals > 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim();
  }
  return null;
}
