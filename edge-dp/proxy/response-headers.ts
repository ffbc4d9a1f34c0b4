import { KONG_VERSION } from '../../shared/version.ts';
import type { HeaderFields } from '../http/fields.ts';
import type { ProxySettings } from '../settings.ts';
import { SERVER } from './errors.ts';
import type { ProxyContext } from './request-context.ts';

/** Which of Kong's own headers go out: the `headers` setting, compiled. */
export interface ResponseTokens {
  readonly via: boolean;
  readonly server: boolean;
  readonly proxyLatency: boolean;
  readonly upstreamLatency: boolean;
  readonly responseLatency: boolean;
  readonly upstreamStatus: boolean;
  readonly requestId: boolean;
  /** `Kong-Debug` on a request asks for the names of what it matched. */
  readonly debug: boolean;
}

export function compileResponseTokens(settings: Pick<ProxySettings, 'headers' | 'allowDebugHeader'>): ResponseTokens {
  const tokens = new Set(settings.headers.map((token) => token.toLowerCase()));
  const server = tokens.has('server_tokens');
  const latency = tokens.has('latency_tokens');
  return {
    via: server || tokens.has('via'),
    server: server || tokens.has('server'),
    proxyLatency: latency || tokens.has('x-kong-proxy-latency'),
    upstreamLatency: latency || tokens.has('x-kong-upstream-latency'),
    responseLatency: latency || tokens.has('x-kong-response-latency'),
    upstreamStatus: tokens.has('x-kong-upstream-status'),
    requestId: tokens.has('x-kong-request-id'),
    debug: settings.allowDebugHeader,
  };
}

/** When the proxy handed the request on and when the upstream's head came back: milliseconds since the epoch. */
export interface UpstreamTimes {
  readonly sentAt: number;
  readonly headAt: number;
  readonly status: number;
}

/** Adds Kong's headers to a response of the upstream. `version`: of HTTP, as used with the upstream; `via`: what the upstream says, whatever plugins made of it. */
export function markProxied(
  headers: HeaderFields,
  tokens: ResponseTokens,
  context: ProxyContext,
  times: UpstreamTimes,
  version: '1.1' | '2',
  via: string | null,
): void {
  if (tokens.via) {
    const own = `${version} kong/${KONG_VERSION}`;
    headers.set('Via', via === null ? own : `${via}, ${own}`);
  }
  if (tokens.server && !headers.has('server')) headers.set('Server', SERVER);
  if (tokens.upstreamLatency) headers.set('X-Kong-Upstream-Latency', String(times.headAt - times.sentAt));
  if (tokens.proxyLatency) headers.set('X-Kong-Proxy-Latency', String(times.sentAt - context.startedAt));
  if (tokens.upstreamStatus) headers.set('X-Kong-Upstream-Status', String(times.status));
  markAny(headers, tokens, context);
}

/** Adds Kong's headers to an answer the gateway made. `waited`: milliseconds that were not its own. */
export function markOwn(headers: HeaderFields, tokens: ResponseTokens, context: ProxyContext, waited: number): void {
  // A `Via` of the gateway's name alone tells whose answer it is: plugins may say what server that is of.
  if (!tokens.via || headers.get('via') !== SERVER) {
    if (tokens.server) headers.set('Server', SERVER);
    else headers.delete('Server');
  }
  if (tokens.responseLatency) headers.set('X-Kong-Response-Latency', String(Date.now() - context.startedAt - waited));
  markAny(headers, tokens, context);
}

let second = 0;
let date = '';

/** The time as it stands in Date, made once a second. */
function httpDate(): string {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    second = now;
    date = new Date(now * 1000).toUTCString();
  }
  return date;
}

function markAny(headers: HeaderFields, tokens: ResponseTokens, context: ProxyContext): void {
  // Whoever passes a response on records when, where the origin has not (RFC 9110 section 6.6.1).
  if (!headers.has('date')) headers.set('Date', httpDate());
  if (tokens.requestId) headers.set('X-Kong-Request-Id', context.id);
  if (!tokens.debug || !context.incoming.headers.has('kong-debug')) return;
  const { route, service } = context;
  if (route !== null) {
    headers.set('Kong-Route-Id', route.id);
    if (route.name !== null) headers.set('Kong-Route-Name', route.name);
  }
  if (service !== null) {
    headers.set('Kong-Service-Id', service.id);
    if (service.name !== null) headers.set('Kong-Service-Name', service.name);
  }
}
