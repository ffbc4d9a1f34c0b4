import type { ProxyCacheConfig } from '../../shared/plugins/proxy-cache.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { StoredResponse } from '../durable/stored-response.ts';
import { type Directives, parseCacheControl } from '../http/cache-control.ts';
import { FieldList, type HeaderFields } from '../http/fields.ts';
import { parseMediaType, withinRange } from '../http/media-type.ts';
import { OwnResponse } from '../http/messages.ts';
import { cacheKey, variantKey, variesByOf } from './cache-key.ts';
import { isNotModified, NOT_IN_304 } from './not-modified.ts';
import { type Freshness, freshnessOf, isUsable, type Wishes, wishesOf } from './response-freshness.ts';
import { andThen } from './runtime/and-then.ts';
import { type Answer, type Plugin, type Step, served } from './runtime/plugin.ts';
import type { Reply } from './runtime/reply.ts';
import type { GatewayRequest } from './runtime/request.ts';
import type { Services } from './runtime/services.ts';
import { slot } from './runtime/slot.ts';

/** What became of a request. */
interface Lookup {
  /** What X-Cache-Status says; null: nothing, since only a copy was wanted, and there is none. */
  readonly status: 'Miss' | 'Hit' | 'Refresh' | 'Bypass' | null;
  /** Null: it is none that a copy could answer. */
  readonly key: string | null;
  readonly age: number | null;
}

const looked = slot<Lookup>();

const BYPASSED: Lookup = { status: 'Bypass', key: null, age: null };

/** Keeps answers in the memory of the node, and answers with them. */
const proxyCache: Plugin<ProxyCacheConfig> = {
  name: 'proxy-cache',
  version: KONG_VERSION,
  priority: 100,
  compile(config, { id: plugin }, services) {
    const byRules = config.cache_control;
    const methods: ReadonlySet<string> = new Set(
      byRules ? config.request_method.filter((method) => !isUnsafe(method)) : config.request_method,
    );
    const statuses = new Set(config.response_code.filter((status) => !INCOMPLETE.has(status)));
    const ranges = config.content_type.map(parseMediaType).filter((range) => range !== null);
    const ttl = config.cache_ttl ?? DEFAULT_TTL;
    const names = config.vary_query_params;
    const keyConfig = {
      plugin,
      ignoreCase: config.ignore_uri_case === true,
      queryParameters: names === null || names.length === 0 ? null : names,
      headers: config.vary_headers ?? [],
    };
    const shown = config.response_headers;

    /** Null: nothing may be kept of it. */
    function freshness(request: GatewayRequest, reply: Reply): Freshness | null {
      if (reply.source === 'error' || !statuses.has(reply.status)) return null;
      const type = parseMediaType(reply.headers.get('content-type') ?? '');
      if (type === null || !ranges.some((range) => withinRange(type, range))) return null;
      if (!byRules) return { lifetime: ttl, age: 0, mustRevalidate: false };
      const directives = parseCacheControl(reply.headers.get('cache-control'));
      return freshnessOf(reply.headers, directives, Math.floor(request.startedAt / 1000));
    }

    function judge(
      request: GatewayRequest,
      key: string,
      found: StoredResponse | null,
      asked: Directives,
    ): Step<Answer> {
      const lookup = judged(key, found, asked);
      looked.set(request, lookup);
      if (found !== null && lookup.status === 'Hit') return served(answerOf(request, found));
      if (!byRules || !asked.has('only-if-cached')) return undefined;
      looked.set(request, { ...lookup, status: null });
      return request.errorPage(504);
    }

    function judged(key: string, found: StoredResponse | null, asked: Directives): Lookup {
      if (found === null) return { status: 'Miss', key, age: null };
      const age = found.age + (Date.now() - found.storedAt) / 1000;
      const usable = isUsable(found, age, byRules ? wishesOf(asked) : NEVER_STALE);
      return { status: usable ? 'Hit' : 'Refresh', key, age: Math.floor(age) };
    }

    function mark(headers: HeaderFields, request: GatewayRequest, { status, key, age }: Lookup): void {
      const all = request.incoming.headers.has('kong-debug');
      if (status === 'Hit' && age !== null && (all || shown.age)) headers.set('Age', String(age));
      if (status !== null && (all || shown['X-Cache-Status'])) headers.set('X-Cache-Status', status);
      if (key !== null && (all || shown['X-Cache-Key'])) headers.set('X-Cache-Key', key);
    }

    return {
      access(request) {
        const asked = parseCacheControl(byRules ? request.headers.get('cache-control') : null);
        if (!methods.has(request.method) || (byRules && wantsNone(request, asked))) {
          looked.set(request, BYPASSED);
          return undefined;
        }
        const key = cacheKey(request, keyConfig);
        const found = andThen(services.responses.find(key), (one) => variantOf(services, request, one));
        return andThen(found, (one) => judge(request, key, one, asked));
      },
      response(request, reply) {
        const lookup = looked.get(request);
        if (lookup === undefined) return undefined;
        const { status, key } = lookup;
        if (status === 'Hit' || status === null || key === null) {
          mark(reply.headers, request, lookup);
          const written = byRules && reply.source === 'service' && isUnsafe(request.method) && reply.status < 400;
          return written ? services.responses.invalidate(targetOf(request)).then(() => undefined) : undefined;
        }
        const fresh = freshness(request, reply);
        if (fresh === null) {
          mark(reply.headers, request, { ...lookup, status: 'Bypass' });
          return undefined;
        }
        keep(services, request, reply, {
          primary: key,
          plugin,
          ...fresh,
          stays: config.storage_ttl ?? fresh.lifetime - fresh.age,
          variesBy: byRules ? variesByOf(reply.headers.get('vary')) : null,
        });
        mark(reply.headers, request, lookup);
        return undefined;
      },
    };
  },
};

export default proxyCache;

/** Kong's, where the config says nothing. */
const DEFAULT_TTL = 300;
/** Parts of an answer, and answers that refer to what a client has: none answers another request. */
const INCOMPLETE: ReadonlySet<number> = new Set([206, 304]);
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
/** Without `cache_control` a copy is good for its time, whatever client or origin say. */
const NEVER_STALE: Wishes = { maxAge: null, maxStale: 0, minFresh: null };

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

function isUnsafe(method: string): boolean {
  return !SAFE.has(method);
}

/** A request that is not to be answered with a copy, nor kept. */
function wantsNone({ headers }: GatewayRequest, asked: Directives): boolean {
  if (headers.has('authorization') || asked.has('no-store') || asked.has('no-cache')) return true;
  return !headers.has('cache-control') && headers.get('pragma')?.toLowerCase().includes('no-cache') === true;
}

/** What is kept for a request of an answer that varies. */
function variantOf(
  { responses }: Services,
  request: GatewayRequest,
  found: StoredResponse | null,
): StoredResponse | null | Promise<StoredResponse | null> {
  if (found === null || found.variesBy === null) return found;
  return responses.find(variantKey(found.primary, found.variesBy, request));
}

function targetOf({ forwarded: { proto, host }, rawTarget }: GatewayRequest): string {
  return `${proto}://${host.toLowerCase()}${rawTarget}`;
}

/** What is known of an answer that is to be kept; `stays` in seconds. */
type Kept = Pick<StoredResponse, 'primary' | 'plugin' | 'lifetime' | 'age' | 'mustRevalidate' | 'variesBy'> & {
  readonly stays: number;
};

/** Keeps a copy as the answer passes. */
function keep(
  { responses }: Services,
  request: GatewayRequest,
  reply: Reply,
  { stays, variesBy, ...kept }: Kept,
): void {
  const { status } = reply;
  const bare = request.method === 'HEAD';
  const declared = reply.headers.get('content-length');
  if (!bare && Number(declared ?? 0) > responses.largest) return;
  const headers = [...reply.headers].filter(
    ([name]) => (!NOT_KEPT.has(name) || (bare && name === 'content-length')) && !name.includes('ratelimit-remaining'),
  );
  reply.body.copy(responses.largest, (body) => {
    // An upstream that closes early leaves less than it has announced.
    if (body === null || (!bare && declared !== null && Number(declared) !== body.length)) return;
    const storedAt = Date.now();
    const until = storedAt + stays * 1000;
    const entry = { ...kept, target: targetOf(request), requestedAt: request.startedAt, storedAt, until, status };
    const key = variesBy === null ? kept.primary : variantKey(kept.primary, variesBy, request);
    const copies = [responses.keep({ ...entry, key, variesBy: null, headers, body })];
    if (variesBy !== null)
      copies.push(responses.keep({ ...entry, key: kept.primary, variesBy, headers: [], body: new Uint8Array() }));
    request.waitUntil(Promise.all(copies));
  });
}

/** A copy as an answer, or that the client has the same (RFC 9111 section 4.3.2). */
function answerOf(request: GatewayRequest, { status, headers: kept, body }: StoredResponse): OwnResponse {
  const headers = new FieldList();
  const unchanged = status === 200 && isNotModified(request.headers, kept);
  for (const [name, value] of kept) {
    // What plugins say of this request takes the place of what was said of the one that was kept.
    if (name !== 'set-cookie' && request.replyHeaders.has(name)) continue;
    if (!unchanged || !NOT_IN_304.has(name)) headers.append(name, value);
  }
  if (unchanged) return new OwnResponse(304, null, headers);
  return new OwnResponse(status, request.method === 'HEAD' ? null : body, headers);
}
