import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { Socket } from 'node:net';
import { EGRESS_TARGET, EGRESS_TOKEN, type EgressTarget } from '../../proxy/egress/protocol.ts';
import type { UpstreamCall } from './call.ts';
import type { Endpoint } from './connect.ts';
import { NameService } from './dns.ts';
import { Exchange } from './exchange.ts';
import { asEgressError, EgressError } from './failure.ts';
import { FollowedExchanges } from './followed-exchanges.ts';
import { requestHeaders } from './headers.ts';
import { Http1 } from './http1.ts';
import { Http2 } from './http2.ts';
import { Identities } from './identities.ts';
import type { EgressOptions } from './messages.ts';
import { Operations } from './operations.ts';
import { parseTarget } from './target.ts';
import { Tunnels } from './tunnels.ts';

/** The server that performs what the runtime itself cannot: see `edge-dp/proxy/egress/protocol.ts`. Listening is the caller's. */
export function egressServer(options: EgressOptions): Server {
  const identities = new Identities(options.trust);
  for (const [name, text] of Object.entries(options.identities)) identities.add(name, text);
  const followed = new FollowedExchanges();
  const tunnels = new Tunnels(identities);
  const names = new NameService(options.dns);
  const operations = new Operations({ ...options, identities, followed, tunnels, names });
  const http1 = new Http1();
  const http2 = new Http2();
  const expected = Buffer.from(options.token);

  const answer = async (exchange: Exchange): Promise<void> => {
    authorize(exchange.request, expected);
    if (exchange.request.headers[EGRESS_TARGET] === undefined) return await operations.answer(exchange);
    const target = targetOf(exchange.request);
    const endpoint = endpointOf(target, identities);
    const call = callOf(exchange, target);
    exchange.trailers = target.trailers;
    exchange.bodiless = target.method === 'HEAD';
    if (target.version === '2') await http2.send(call, endpoint, exchange);
    else http1.send(call, endpoint, exchange);
  };

  const server = createServer({ maxHeaderSize: 512 * 1024, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 });
  // workerd has counted them, and bounds their size.
  server.maxHeadersCount = 0;
  server.on('request', (request, response) => {
    const exchange = new Exchange(request, response);
    answer(exchange).catch((error: unknown) => exchange.fail(asEgressError(error)));
  });
  server.on('upgrade', (request, socket, head) => {
    if (!(socket instanceof Socket)) return void socket.destroy();
    socket.on('error', () => {});
    const exchange = Exchange.ofUpgrade(request, socket);
    try {
      authorize(request, expected);
      const target = targetOf(request);
      if (target.exchange !== undefined) socket.once('close', followed.begin(target.exchange));
      const call = { ...callOf(exchange, target), method: 'GET', body: null };
      const protocol = request.headers.upgrade ?? 'websocket';
      http1.upgrade(call, protocol, endpointOf(target, identities), exchange, (upstream, headers) =>
        exchange.tunnel(socket, head, upstream, headers),
      );
    } catch (error) {
      exchange.fail(asEgressError(error));
    }
  });
  // No header of the binding's comes with it: the ticket, which is used once, is the proof.
  server.on('connect', (request, socket, head) => {
    socket.on('error', () => {});
    const [ticket = ''] = (request.url ?? '').split(':');
    if (!(socket instanceof Socket) || !tunnels.attach(ticket, socket, head)) {
      socket.end('HTTP/1.1 403 No such ticket\r\n\r\n');
    }
  });
  return server;
}

function authorize({ headers }: IncomingMessage, expected: Buffer): void {
  const shown = Buffer.from(String(headers[EGRESS_TOKEN] ?? ''));
  if (shown.byteLength === expected.byteLength && timingSafeEqual(shown, expected)) return;
  throw new EgressError('unauthorized', false, 'the egress process serves its own node only');
}

function targetOf({ headers }: IncomingMessage): EgressTarget {
  return parseTarget(String(headers[EGRESS_TARGET]));
}

function callOf(exchange: Exchange, { scheme, authority, path, timeouts, method }: EgressTarget): UpstreamCall {
  const { request } = exchange;
  return {
    scheme,
    method: method ?? request.method ?? 'GET',
    authority,
    path,
    headers: requestHeaders(request.rawHeaders),
    body: exchange.body(),
    // workerd passes none on.
    trailers: null,
    timeouts,
  };
}

function endpointOf(target: EgressTarget, identities: Identities): Endpoint {
  const { scheme, host, port, version, tls, timeouts, proxy } = target;
  return {
    host,
    port,
    tls:
      scheme === 'http'
        ? null
        : { identity: identities.get(tls?.identity ?? null), serverName: tls?.serverName ?? null },
    protocol: version === '2' ? 'h2' : 'http/1.1',
    connectTimeout: timeouts.connect,
    ...(proxy !== undefined && { proxy }),
  };
}
