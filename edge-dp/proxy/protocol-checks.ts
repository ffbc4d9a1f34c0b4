import { statusPage, statusPageType } from '../../shared/status-page.ts';
import { type HttpResponse, OwnResponse } from '../http/messages.ts';
import type { Route } from './entities.ts';
import { overHttp2 } from './errors.ts';
import type { Forwarded } from './forwarded-headers.ts';
import type { ProxyContext } from './request-context.ts';

/** What is wrong with the protocol of a request that matched a route. */
export type ProtocolFault = 'not https' | 'not grpc' | 'not http2' | 'not grpcs';

/** What of a request its protocol is told by. */
interface Seen {
  readonly version: string;
  readonly headers: { get(name: string): string | null };
}

/** `proto`: what the client used. Routes are matched whatever the scheme, so that a client learns to use HTTPS instead of being told there is nothing there. */
export function protocolFault(
  { protocols }: Pick<Route, 'protocols'>,
  proto: string,
  seen: Seen,
): ProtocolFault | null {
  if (protocols.includes('https') && !protocols.includes('http') && proto !== 'https') return 'not https';
  if (!protocols.includes('grpc') && !protocols.includes('grpcs')) return null;
  const type = seen.headers.get('content-type') ?? '';
  if (!type.startsWith('application/grpc')) return 'not grpc';
  // gRPC-Web is gRPC over HTTP/1.1, which is what the egress process makes of an HTTP/2 upstream's trailers.
  if (!type.startsWith('application/grpc-web') && !overHttp2(seen)) return 'not http2';
  return protocols.includes('grpc') || proto === 'https' ? null : 'not grpcs';
}

/** The status of the answer to such a request. */
export function statusOfFault(fault: ProtocolFault, route: Pick<Route, 'httpsRedirect'>): number {
  switch (fault) {
    case 'not https':
      return route.httpsRedirect;
    case 'not grpc':
      return 415;
    case 'not http2':
      return 426;
    case 'not grpcs':
      return 200;
  }
}

/** Answers for requests whose protocol is not one of the route's. */
export function checkProtocol(context: ProxyContext, route: Route, forwarded: Forwarded): HttpResponse | null {
  const fault = protocolFault(route, forwarded.proto, context.incoming);
  if (fault === null) return null;
  const status = statusOfFault(fault, route);
  switch (fault) {
    case 'not https':
      return requireHttps(context, status, forwarded);
    case 'not grpc':
      return context.error(status, 'Non-gRPC request matched gRPC route');
    case 'not http2':
      return context.error(status, 'Please use HTTP2 protocol', { connection: 'Upgrade', upgrade: 'HTTP/2' });
    case 'not grpcs':
      return new OwnResponse(status, null, {
        'content-type': 'application/grpc',
        'grpc-status': '1',
        'grpc-message': 'gRPC request matched gRPCs route',
      });
  }
}

function requireHttps(context: ProxyContext, status: number, forwarded: Forwarded): HttpResponse {
  if (status === 426)
    return context.error(426, 'Please use HTTPS protocol', { Connection: 'Upgrade', Upgrade: 'TLS/1.2, HTTP/1.1' });
  return new OwnResponse(status, statusPage(status), {
    'Content-Type': statusPageType(status),
    Location: `https://${forwarded.host}${context.rawTarget}`,
  });
}
