import type { StoredResponse } from '../../durable/stored-response.ts';
import { FieldList, type HeaderFields } from '../../http/fields.ts';
import type { Reply } from '../runtime/reply.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import { fieldOf, type KeptFields, NOT_IN_304, withoutWeakness } from './not-modified.ts';

/** A copy that the origin is asked about, and what the client itself asked. */
export interface Revalidation {
  readonly copy: StoredResponse;
  readonly asked: HeaderFields;
}

/** Conditions of a client that leave no room for the cache's own. */
const FORWARDED = ['if-match', 'if-unmodified-since'] as const;
/** Those of a client that are answered from the copy once it is known to be good. */
const OWN = ['if-none-match', 'if-modified-since', 'range', 'if-range'] as const;

/** Whether the origin can be asked if a copy with these headers is still what it has. */
export function hasValidator(headers: HeaderFields): boolean {
  return headers.has('etag') || headers.has('last-modified');
}

/**
 * Makes a request ask the origin whether a copy is still good (RFC 9111 section 4.3.1); null: it stays as it is, since the copy has
 * nothing to ask by, or the client asks in a way of its own.
 */
export function askAbout(copy: StoredResponse, { headers, method }: GatewayRequest): Revalidation | null {
  if (copy.status !== 200 || (method !== 'GET' && method !== 'HEAD')) return null;
  if (FORWARDED.some((name) => headers.has(name))) return null;
  const [tag, modified] = [fieldOf(copy.headers, 'etag'), fieldOf(copy.headers, 'last-modified')];
  const tags = headers.get('if-none-match');
  if (tag === null && (modified === null || tags !== null)) return null;
  const asked = new FieldList();
  for (const name of OWN) {
    const value = headers.get(name);
    if (value !== null) asked.append(name, value);
    headers.delete(name);
  }
  // A client's own tags stay, for what it has may be what the origin has now.
  if (tag !== null) headers.set('If-None-Match', tags === null || tags.trim() === '*' ? tag : `${tags}, ${tag}`);
  else if (modified !== null) headers.set('If-Modified-Since', modified);
  return { copy, asked };
}

/** Whether a 304 is about the copy, and not about what the client has (section 4.3.3). */
export function confirms({ status, source, headers }: Reply, { copy, asked }: Revalidation): boolean {
  if (status !== 304 || source !== 'service') return false;
  const [tag, own] = [headers.get('etag'), fieldOf(copy.headers, 'etag')];
  const same = tag !== null && own !== null && withoutWeakness(tag) === withoutWeakness(own);
  return same || !asked.has('if-none-match');
}

/** The copy's headers with what a 304 says anew of them (section 3.2). */
export function freshened(kept: KeptFields, told: KeptFields): KeptFields {
  const news = told.filter(([name]) => !NOT_IN_304.has(name));
  const names = new Set(news.map(([name]) => name));
  return [...kept.filter(([name]) => !names.has(name)), ...news];
}
