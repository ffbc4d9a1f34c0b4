import { KONG_VERSION } from '../../shared/version.ts';
import { cookiesOf } from '../http/cookies.ts';
import type { HeaderFields } from '../http/fields.ts';
import { upstreamPath } from '../router/upstream-path.ts';
import { authorityOf, type UpstreamBody, type UpstreamRequest, type UpstreamTls } from './egress/egress.ts';
import type { Route, Service } from './entities.ts';
import { writeForwarded } from './forwarded-headers.ts';
import { stripAfterPlugins, stripRequestHeaders } from './hop-by-hop.ts';
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

/** The headers the upstream gets, all but Host. */
export function upstreamHeaders(
  context: ProxyContext,
  route: Route,
  match: MatchedPath,
  options: { readonly requestId: boolean },
): HeaderFields {
  const { incoming, plugins } = context;
  // Plugins of later phases must find what those before left, not what the gateway made of it for the upstream.
  const headers = plugins === null ? context.fields : incoming.copyOf(context.fields);
  const cookie = cookiesOf(headers);
  if (plugins === null) stripRequestHeaders(headers, incoming.fieldNames, context.client.trusted);
  else stripAfterPlugins(headers, incoming.headers.get('te'));
  headers.delete('host');
  if (cookie !== null && cookie !== headers.get('cookie')) headers.set('Cookie', cookie);
  const prefix = route.stripPath ? match.matchedPrefix : null;
  writeForwarded(headers, incoming.headers, context.client, context.forwarded, prefix);
  writeVia(headers, incoming.headers, incoming.version);
  if (options.requestId) headers.set('X-Kong-Request-Id', context.id);
  return headers;
}

/** `received` is what the client sent, whatever plugins made of it. */
export function writeVia(headers: HeaderFields, received: HeaderFields, version: string): void {
  const via = received.get('via');
  // As nginx tells Kong's Lua: a number, which 1.0 is not told apart from 1 in.
  const own = `${version === '1.0' ? '1' : version} kong/${KONG_VERSION}`;
  headers.set('Via', via === null ? own : `${via}, ${own}`);
}

/** The request target upstream, the query byte for byte, a bare `?` included. */
export function upstreamTarget(
  context: ProxyContext,
  route: Route,
  service: Service | null,
  match: MatchedPath,
  flavor: string,
): string {
  const chosen = context.choice?.path ?? null;
  const path = chosen ?? matchedUpstreamPath(route, service, match, flavor);
  if (context.query !== '') return `${path}?${context.query}`;
  return chosen === null && context.rawTarget.endsWith('?') ? `${path}?` : path;
}

/** Where route and service send a request. A gRPC service is called by the whole path, which names the method: `strip_path` is not for it. */
export function matchedUpstreamPath(route: Route, service: Service | null, match: MatchedPath, flavor: string): string {
  return upstreamPath({
    servicePath: service?.path ?? null,
    path: match.path,
    matchedPrefix: match.matchedPrefix,
    stripPath: route.stripPath && service?.protocol.startsWith('grpc') !== true,
    handling: flavor === 'traditional' ? route.pathHandling : 'v0',
  });
}

/** All that egress needs to know to send one attempt to one peer. */
export function upstreamRequest(
  context: ProxyContext,
  parts: {
    readonly service: Service;
    readonly route: Route;
    readonly peer: Peer;
    readonly target: string;
    readonly headers: HeaderFields;
    readonly body: UpstreamBody;
    readonly tls: UpstreamTls;
    readonly websocket: boolean;
    readonly followed: boolean;
    readonly hasLeft: UpstreamRequest['hasLeft'];
  },
): UpstreamRequest {
  const { service, peer } = parts;
  const secure = service.protocol === 'https' || service.protocol === 'grpcs';
  const http2 = service.protocol.startsWith('grpc');
  const trailers = http2 ? (context.choice?.trailers ?? null) : null;
  const preserved = parts.route.preserveHost ? context.incoming.headers.get('host') : null;
  return {
    scheme: secure ? 'https' : 'http',
    host: peer.host.startsWith('[') ? peer.host.slice(1, -1) : peer.host,
    port: peer.port,
    authority: context.chosenHost ?? preserved ?? authorityOf(peer.hostname, peer.port, secure),
    target: parts.target,
    method: context.method,
    headers: parts.headers,
    body: parts.body,
    version: http2 ? '2' : '1.1',
    ...(trailers !== null && { trailers }),
    websocket: parts.websocket,
    followed: parts.followed,
    client: context.incoming,
    hasLeft: parts.hasLeft,
    waitUntil: context.arrival.waitUntil,
    tls: parts.tls,
    timeouts: { connect: service.connectTimeout, read: service.readTimeout, write: service.writeTimeout },
  };
}
