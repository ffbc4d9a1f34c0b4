import { statusPage } from '../../shared/status-page.ts';
import { type HttpResponse, OwnResponse } from '../http/messages.ts';
import type { Route } from './entities.ts';
import { overHttp2, SERVER } from './errors.ts';
import type { Forwarded } from './forwarded-headers.ts';
import type { ProxyContext } from './request-context.ts';

/**
 * Answers for requests whose protocol is not one of the route's. Routes are matched whatever the scheme, so that a
 * client learns to use HTTPS instead of being told there is nothing there.
 */
export function checkProtocol(context: ProxyContext, route: Route, forwarded: Forwarded): HttpResponse | null {
  const { protocols } = route;
  if (protocols.includes('https') && !protocols.includes('http') && forwarded.proto !== 'https')
    return requireHttps(context, route, forwarded);
  if (protocols.includes('grpc') || protocols.includes('grpcs')) return checkGrpc(context, protocols, forwarded);
  return null;
}

function requireHttps(context: ProxyContext, route: Route, forwarded: Forwarded): HttpResponse {
  if (route.httpsRedirect === 426)
    return context.error(426, 'Please use HTTPS protocol', { Connection: 'Upgrade', Upgrade: 'TLS/1.2, HTTP/1.1' });
  return new OwnResponse(route.httpsRedirect, statusPage(route.httpsRedirect, SERVER), {
    'Content-Type': 'text/html',
    Location: `https://${forwarded.host}${context.rawTarget}`,
  });
}

function checkGrpc(context: ProxyContext, protocols: readonly string[], forwarded: Forwarded): HttpResponse | null {
  const type = context.incoming.headers.get('content-type') ?? '';
  if (!type.startsWith('application/grpc')) return context.error(415, 'Non-gRPC request matched gRPC route');
  // gRPC-Web is gRPC over HTTP/1.1, which is what the egress process makes of an HTTP/2 upstream's trailers.
  if (!type.startsWith('application/grpc-web') && !overHttp2(context.incoming))
    return context.error(426, 'Please use HTTP2 protocol', { connection: 'Upgrade', upgrade: 'HTTP/2' });
  if (protocols.includes('grpc') || forwarded.proto === 'https') return null;
  return new OwnResponse(200, null, {
    'content-type': 'application/grpc',
    'grpc-status': '1',
    'grpc-message': 'gRPC request matched gRPCs route',
  });
}
