import { KONG_VERSION } from '../../shared/version.ts';
import { upstreamPath } from '../router/upstream-path.ts';
import { bracketed, type UpstreamBody, type UpstreamRequest, type UpstreamTls } from './egress/egress.ts';
import type { Route, Service } from './entities.ts';
import { type Forwarded, writeForwarded } from './forwarded-headers.ts';
import { stripRequestHeaders } from './hop-by-hop.ts';
import type { ProxyContext } from './request-context.ts';

/** Where an attempt goes. */
export interface Peer {
  readonly host: string;
  readonly port: number;
  /** The name in the Host header unless the route preserves the client's: `host_header`, else the target's own. */
  readonly hostname: string;
}

/** What of a matched route decides the request upstream. */
export interface MatchedPath {
  /** Normalised request path. */
  readonly path: string;
  readonly matchedPrefix: string | null;
}

/** Brings `context.upstreamHeaders` into the state plugins see and the upstream gets, all but Host. */
export function prepareUpstreamHeaders(
  context: ProxyContext,
  route: Route,
  match: MatchedPath,
  forwarded: Forwarded,
  options: { readonly requestId: boolean },
): void {
  const headers = context.upstreamHeaders;
  const cookie = headers.get('cookie');
  stripRequestHeaders(headers, context.incoming.fieldNames, context.client.trusted);
  headers.delete('host');
  if (cookie?.includes(',') === true) headers.set('Cookie', joinCookies(cookie));
  writeForwarded(headers, context.client, forwarded, route.stripPath ? match.matchedPrefix : null);
  const via = headers.get('via');
  const own = `${context.incoming.version} kong/${KONG_VERSION}`;
  headers.set('Via', via === null ? own : `${via}, ${own}`);
  if (options.requestId) headers.set('X-Kong-Request-Id', context.id);
}

/** The request target upstream, the query byte for byte, a bare `?` included. */
export function upstreamTarget(
  context: ProxyContext,
  route: Route,
  service: Service,
  match: MatchedPath,
  flavor: string,
): string {
  const path = upstreamPath({
    servicePath: service.path,
    path: match.path,
    matchedPrefix: match.matchedPrefix,
    stripPath: route.stripPath,
    handling: flavor === 'traditional' ? route.pathHandling : 'v0',
  });
  if (context.upstreamQuery !== '') return `${path}?${context.upstreamQuery}`;
  return context.rawTarget.endsWith('?') ? `${path}?` : path;
}

/** All that egress needs to know to send one attempt to one peer. */
export function upstreamRequest(
  context: ProxyContext,
  parts: {
    readonly service: Service;
    readonly route: Route;
    readonly peer: Peer;
    readonly target: string;
    readonly body: UpstreamBody;
    readonly tls: UpstreamTls;
    readonly websocket: boolean;
  },
): UpstreamRequest {
  const { service, peer } = parts;
  const secure = service.protocol === 'https' || service.protocol === 'grpcs';
  const preserved = parts.route.preserveHost ? context.incoming.headers.get('host') : null;
  return {
    scheme: secure ? 'https' : 'http',
    host: peer.host.replace(/^\[|\]$/g, ''),
    port: peer.port,
    authority: preserved ?? authority(peer, secure),
    target: parts.target,
    method: context.incoming.method,
    headers: context.upstreamHeaders,
    body: parts.body,
    version: service.protocol.startsWith('grpc') ? '2' : '1.1',
    websocket: parts.websocket,
    tls: parts.tls,
    timeouts: { connect: service.connectTimeout, read: service.readTimeout, write: service.writeTimeout },
  };
}

function authority(peer: Peer, secure: boolean): string {
  const host = bracketed(peer.hostname);
  return peer.port === (secure ? 443 : 80) ? host : `${host}:${peer.port}`;
}

/**
 * The runtime joins several Cookie lines with a comma; RFC 6265 wants `; `. Only a comma before the next `name=` is
 * one of those: cookie values may hold no comma, but some do.
 */
function joinCookies(value: string): string {
  return value.replace(/, (?=[!#$%&'*+\-.^_`|~0-9A-Za-z]+=)/g, '; ');
}
