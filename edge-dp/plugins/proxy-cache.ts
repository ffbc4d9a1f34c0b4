import type { ProxyCacheConfig } from '../../shared/plugins/proxy-cache.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { StoredResponse } from '../durable/stored-response.ts';
import { type Directives, parseCacheControl } from '../http/cache-control.ts';
import { FieldList, type HeaderFields } from '../http/fields.ts';
import { parseMediaType, withinRange } from '../http/media-type.ts';
import { cacheKey, variantKey, variesByOf } from './response-cache/cache-key.ts';
import { answerOf } from './response-cache/copy-answer.ts';
import { type Freshness, freshnessOf, isShared, isUsable, type Wishes, wishesOf } from './response-cache/freshness.ts';
import { keepCopy, keepPassing, keptFields, targetOf } from './response-cache/keep-copy.ts';
import { fieldOf } from './response-cache/not-modified.ts';
import { originDirectives } from './response-cache/origin-directives.ts';
import { askAbout, confirms, freshened, hasValidator, type Revalidation } from './response-cache/revalidation.ts';
import { andThen } from './runtime/and-then.ts';
import { type Answer, type Plugin, type Step, served } from './runtime/plugin.ts';
import type { Reply } from './runtime/reply.ts';
import type { GatewayRequest } from './runtime/request.ts';
import type { Responses, Services } from './runtime/services.ts';
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
const revalidated = slot<Revalidation>();

const BYPASSED: Lookup = { status: 'Bypass', key: null, age: null };

/** Keeps answers in the memory of the node, and answers with them. */
const proxyCache: Plugin<ProxyCacheConfig> = {
  name: 'proxy-cache',
  version: KONG_VERSION,
  priority: 100,
  compile(config, { id: plugin }, services) {
    const byRules = config.cache_control;
    const responses = responsesOf(config.strategy, plugin, services);
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
    function freshness(request: GatewayRequest, status: number, headers: HeaderFields): Freshness | null {
      if (!statuses.has(status)) return null;
      const type = parseMediaType(headers.get('content-type') ?? '');
      if (type === null || !ranges.some((range) => withinRange(type, range))) return null;
      if (!byRules) return { lifetime: ttl, age: 0, mustRevalidate: false };
      const said = originDirectives(headers);
      if (request.headers.has('authorization') && !isShared(said.directives)) return null;
      return freshnessOf(headers, said, Math.floor(request.startedAt / 1000));
    }

    function judge(
      request: GatewayRequest,
      key: string,
      found: StoredResponse | null,
      asked: Directives,
    ): Step<Answer> {
      if (found !== null && byRules && request.headers.has('authorization') && !isShared(directivesOf(found))) {
        looked.set(request, BYPASSED);
        return undefined;
      }
      const lookup = judged(key, found, asked);
      looked.set(request, lookup);
      if (found !== null && lookup.status === 'Hit')
        return served(answerOf(request, found, request.headers, { ranges: byRules }));
      if (!byRules) return undefined;
      if (asked.has('only-if-cached')) {
        looked.set(request, { ...lookup, status: null });
        return request.errorPage(504);
      }
      const revalidation = found === null ? null : askAbout(found, request);
      if (revalidation !== null) revalidated.set(request, revalidation);
      return undefined;
    }

    function judged(key: string, found: StoredResponse | null, asked: Directives): Lookup {
      if (found === null) return { status: 'Miss', key, age: null };
      const age = found.age + (Date.now() - found.storedAt) / 1000;
      const usable = isUsable(found, age, byRules ? wishesOf(asked) : NEVER_STALE);
      // What is only there to be asked about is no copy to the client.
      const gone = config.storage_ttl === null && age > found.lifetime;
      return { status: usable ? 'Hit' : gone ? 'Miss' : 'Refresh', key, age: Math.floor(age) };
    }

    /** What is said of an answer's time with the copy of it. */
    function kept(key: string, fresh: Freshness, headers: HeaderFields) {
      const rests = byRules && hasValidator(headers) ? ASKED_ABOUT : 0;
      return {
        primary: key,
        plugin,
        ...fresh,
        // Without `storage_ttl` nothing is served beyond its time, but the origin may be asked if it is still good.
        mustRevalidate: fresh.mustRevalidate || config.storage_ttl === null,
        stays: config.storage_ttl ?? fresh.lifetime - fresh.age + rests,
        variesBy: byRules ? variesByOf(headers.get('vary')) : null,
      };
    }

    /** The origin has said that a copy is still good. */
    function renewed(request: GatewayRequest, reply: Reply, key: string, { copy, asked }: Revalidation): Answer {
      const headers = freshened(copy.headers, keptFields(request, reply.headers));
      const fields = new FieldList();
      for (const [name, value] of headers) fields.append(name, value);
      const age = reply.headers.get('age');
      if (age !== null) fields.set('Age', age);
      const fresh = freshness(request, copy.status, fields);
      if (fresh !== null)
        keepCopy(responses, request, { ...kept(key, fresh, fields), headers }, copy.status, copy.body);
      mark(reply.headers, request, { status: 'Refresh', key, age: null });
      // Those of the service come with the copy.
      const own = reply.headers.getSetCookie().filter((cookie) => !headers.some(([, value]) => value === cookie));
      reply.headers.delete('set-cookie');
      for (const cookie of own) reply.headers.append('Set-Cookie', cookie);
      return served(answerOf(request, { ...copy, headers }, asked, { ranges: true }));
    }

    function mark(headers: HeaderFields, request: GatewayRequest, { status, key, age }: Lookup): void {
      const all = request.incoming.headers.has('kong-debug');
      if (status === 'Hit' && age !== null && (all || shown.age)) headers.set('Age', String(age));
      if (status !== null && (all || shown['X-Cache-Status'])) headers.set('X-Cache-Status', status);
      if (key !== null && (all || shown['X-Cache-Key'])) headers.set('X-Cache-Key', key);
    }

    return {
      asksForReceived: true,
      access(request) {
        const asked = parseCacheControl(byRules ? request.headers.get('cache-control') : null);
        if (!methods.has(request.method) || saysMore(request) || (byRules && wantsNone(request, asked))) {
          looked.set(request, BYPASSED);
          return undefined;
        }
        const key = cacheKey(request, keyConfig);
        const found = andThen(responses.find(key), (one) => variantOf(responses, request, one));
        return andThen(found, (one) => judge(request, key, one, asked));
      },
      response(request, reply) {
        const lookup = looked.get(request);
        if (lookup === undefined) return undefined;
        const { status, key } = lookup;
        if (status === 'Hit' || status === null || key === null) {
          mark(reply.headers, request, lookup);
          const written = byRules && reply.source === 'service' && isUnsafe(request.method) && reply.status < 400;
          return written ? responses.invalidate(targetOf(request)).then(() => undefined) : undefined;
        }
        const revalidation = revalidated.get(request);
        if (revalidation !== undefined && confirms(reply, revalidation))
          return renewed(request, reply, key, revalidation);
        const fresh = reply.source === 'error' ? null : freshness(request, reply.status, reply.headers);
        if (fresh === null) {
          mark(reply.headers, request, { ...lookup, status: 'Bypass' });
          return undefined;
        }
        keepPassing(responses, request, reply, kept(key, fresh, reply.headers));
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
/** Seconds for which a copy that is stale is there to ask the origin about. */
const ASKED_ABOUT = 86_400;
/** Without `cache_control` a copy is good for its time, whatever client or origin say. */
const NEVER_STALE: Wishes = { maxAge: null, maxStale: 0, minFresh: null };

/** The control plane says where there is no such cache; a node without one keeps copies itself. */
function responsesOf(
  strategy: ProxyCacheConfig['strategy'],
  plugin: string,
  { responses, edgeResponses, log }: Services,
): Responses {
  if (strategy === 'memory') return responses;
  if (edgeResponses === null) log('warn', `proxy-cache (${plugin}): there is no edge here, copies are kept in memory`);
  return edgeResponses ?? responses;
}

function isUnsafe(method: string): boolean {
  return !SAFE.has(method);
}

/** A request to read whose body may say what is to be read: no part of the key, it would choose what others get. */
function saysMore({ method, body }: GatewayRequest): boolean {
  return !isUnsafe(method) && body.length !== 0;
}

/** A request that is not to be answered with a copy, nor kept. */
function wantsNone({ headers }: GatewayRequest, asked: Directives): boolean {
  if (asked.has('no-store') || asked.has('no-cache')) return true;
  return !headers.has('cache-control') && headers.get('pragma')?.toLowerCase().includes('no-cache') === true;
}

/** What is kept for a request of an answer that varies. */
function variantOf(
  responses: Responses,
  request: GatewayRequest,
  found: StoredResponse | null,
): StoredResponse | null | Promise<StoredResponse | null> {
  if (found === null || found.variesBy === null) return found;
  return responses.find(variantKey(found.primary, found.variesBy, request));
}

function directivesOf({ headers }: StoredResponse): Directives {
  return originDirectives({ get: (name) => fieldOf(headers, name) }).directives;
}
