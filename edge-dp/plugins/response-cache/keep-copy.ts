import type { StoredResponse } from '../../durable/stored-response.ts';
import type { HeaderFields } from '../../http/fields.ts';
import type { Reply } from '../runtime/reply.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import type { Responses } from '../runtime/services.ts';
import { variantKey } from './cache-key.ts';

/** Not kept with an answer: about a connection, or about this one request. */
const NOT_KEPT: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'te',
  'trailers',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'age',
  'x-cache-key',
  'x-cache-status',
]);

function isKept(name: string): boolean {
  return !NOT_KEPT.has(name) && !name.includes('ratelimit-remaining');
}

/** The fields of an answer that are kept with it. Cookies that the gateway itself sets are one client's: those of the service are. */
export function keptFields(request: GatewayRequest, headers: HeaderFields): [string, string][] {
  const sent = request.received?.headers.getSetCookie();
  const own = request.replyHeaders.getSetCookie();
  const isService = (cookie: string): boolean => (sent === undefined ? !own.includes(cookie) : sent.includes(cookie));
  return [...headers].filter(([name, value]) => isKept(name) && (name !== 'set-cookie' || isService(value)));
}

/** What is known of an answer that is to be kept; `stays` in seconds. */
export type Kept = Pick<
  StoredResponse,
  'primary' | 'plugin' | 'lifetime' | 'age' | 'mustRevalidate' | 'variesBy' | 'headers'
> & { readonly stays: number };

/** The URI a request is for, by which an unsafe one makes copies void. */
export function targetOf({ forwarded: { proto, host }, rawTarget }: GatewayRequest): string {
  return `${proto}://${host.toLowerCase()}${rawTarget}`;
}

/** Keeps a copy of an answer as it passes. */
export function keepPassing(
  responses: Responses,
  request: GatewayRequest,
  reply: Reply,
  kept: Omit<Kept, 'headers'>,
): void {
  const { status } = reply;
  const bare = request.method === 'HEAD';
  const declared = reply.headers.get('content-length');
  if (!bare && Number(declared ?? 0) > responses.largest) return;
  const headers = keptFields(request, reply.headers);
  if (bare && declared !== null) headers.push(['content-length', declared]);
  reply.body.copy(responses.largest, (body) => {
    // An upstream that closes early leaves less than it has announced.
    if (body === null || (!bare && declared !== null && Number(declared) !== body.length)) return;
    keepCopy(responses, request, { ...kept, headers }, status, body);
  });
}

/** Keeps a copy, and of one that varies, by what. */
export function keepCopy(
  responses: Responses,
  request: GatewayRequest,
  { stays, variesBy, ...kept }: Kept,
  status: number,
  body: Uint8Array,
): void {
  const storedAt = Date.now();
  const until = storedAt + stays * 1000;
  const entry = { ...kept, target: targetOf(request), requestedAt: request.startedAt, storedAt, until, status };
  const key = variesBy === null ? kept.primary : variantKey(kept.primary, variesBy, request);
  const copies = [responses.keep({ ...entry, key, variesBy: null, body })];
  if (variesBy !== null)
    copies.push(responses.keep({ ...entry, key: kept.primary, variesBy, headers: [], body: new Uint8Array() }));
  request.waitUntil(Promise.all(copies));
}
