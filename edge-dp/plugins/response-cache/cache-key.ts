import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { decodedQuery, pairs } from '../../proxy/query.ts';
import type { GatewayRequest } from '../runtime/request.ts';

/** What tells the requests of one configuration apart, beside client, route, method, scheme, host and path. */
interface KeyConfig {
  readonly plugin: string;
  readonly ignoreCase: boolean;
  /** In order; null: all arguments. */
  readonly queryParameters: readonly string[] | null;
  readonly headers: readonly string[];
}

/** 64 hex digits. As JSON, so that no value can pass for a part of another. */
export function cacheKey(request: GatewayRequest, { plugin, ignoreCase, queryParameters, headers }: KeyConfig): string {
  const { proto, host } = request.forwarded;
  return digest([
    plugin,
    clientOf(request.identity),
    request.route?.id ?? null,
    request.method,
    proto,
    host.toLowerCase(),
    // With its port, where the service is told it: what it refers to may be there.
    ...(request.route?.row.preserve_host === true ? [request.headers.get('host')?.toLowerCase()] : []),
    ignoreCase ? request.rawPath.toLowerCase() : request.rawPath,
    argumentsOf(request.query, queryParameters),
    headers.map((name) => request.headers.get(name)),
    // Answers by a release that is tried are none for those it is not tried on.
    ...(request.trial === null ? [] : [request.trial]),
  ]);
}

/** The key of the variant for a request of an answer that varies (RFC 9111 section 4.1). */
export function variantKey(primary: string, variesBy: readonly string[], request: GatewayRequest): string {
  return digest([primary, variesBy.map((name) => [name, normalized(request.headers.get(name))])]);
}

/** The lower-case names of a Vary field, sorted; null: it names none. */
export function variesByOf(vary: string | null): readonly string[] | null {
  const names = (vary ?? '').split(',').map((name) => name.trim().toLowerCase());
  const named = [...new Set(names.filter((name) => name !== ''))].sort();
  return named.length === 0 ? null : named;
}

/** Blanks around the items of a list say nothing. */
function normalized(value: string | null): string | null {
  if (value === null) return null;
  const items = value.split(',').map((item) => item.trim());
  return items.join(',');
}

/** Whose answer it may be: consumers may be applications of many people, and people may be known who are no consumers. */
function clientOf({ consumer, credential, authenticatedUser }: GatewayRequest['identity']): unknown {
  if (consumer === null) return credential === null ? null : [credential.identifier];
  return authenticatedUser === null ? consumer.id : [consumer.id, authenticatedUser];
}

/** Sorted by name and value: their order is no difference. */
function argumentsOf(query: string, names: readonly string[] | null): unknown {
  if (query === '') return [];
  const counted: (readonly [name: Spelt, value: Spelt | true])[] = [];
  for (const { name, value } of pairs(query, Number.POSITIVE_INFINITY)) {
    const decoded = spelt(name);
    if (names !== null && !(typeof decoded === 'string' && names.includes(decoded))) continue;
    counted.push([decoded, value === null || spelt(value)]);
  }
  return counted.sort(([a, v], [b, w]) => compare(String(a), String(b)) || compare(String(v), String(w)));
}

/** Decoded, or in a list as it stands, so that escapes that are none are not taken for a text that says the same. */
type Spelt = string | readonly [string];

function spelt(text: string): Spelt {
  return decodedQuery(text) ?? [text];
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function digest(parts: unknown): string {
  return bytesToHex(sha256(new TextEncoder().encode(JSON.stringify(parts))));
}
