/**
 * The egress process: performs the upstream requests that the runtime's own fetch cannot express. The protocol is
 * `edge-dp/proxy/egress/protocol.ts`. It ends with the process that started it.
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { connect as connectTcp, createServer as createTcpServer, Socket } from 'node:net';
import { type DnsAnswer, EGRESS_TARGET, EGRESS_TOKEN, type EgressTarget } from '../../proxy/egress/protocol.ts';
import { SYSTEM_DNS } from '../options.ts';
import { isMessage } from '../supervision/message.ts';
import { ClientConnections } from './client-connections.ts';
import type { Endpoint } from './connect.ts';
import { NameService } from './dns.ts';
import { asEgressError, Exchange } from './exchange.ts';
import { EgressError } from './failure.ts';
import { FollowedExchanges } from './followed-exchanges.ts';
import { Http1 } from './http1.ts';
import { Http2 } from './http2.ts';
import { Identities } from './identities.ts';
import { EGRESS_DESCRIPTOR, type EgressStart, type FromEgress } from './messages.ts';
import { parseTarget } from './target.ts';

/** Bytes of a TLS identity: room for many CAs. */
const MAX_IDENTITY = 4 << 20;

const identities = new Identities();
const http1 = new Http1();
const http2 = new Http2();
const followed = new FollowedExchanges();
const clients = new ClientConnections();
let names = new NameService(SYSTEM_DNS);

function serve({ token, identities: known, relays, dns }: EgressStart): void {
  names = new NameService(dns);
  for (const [name, text] of Object.entries(known)) identities.add(name, text);
  const expected = Buffer.from(token);
  const server = createServer({ maxHeaderSize: 512 * 1024, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 });
  // workerd has counted them, and bounds their size.
  server.maxHeadersCount = 0;
  server.on('request', (request, response) => {
    const exchange = new Exchange(request, response);
    answer(exchange, expected).catch((error: unknown) => exchange.fail(asEgressError(error)));
  });
  server.on('upgrade', (request, socket, head) => {
    if (!(socket instanceof Socket)) return void socket.destroy();
    socket.on('error', () => {});
    const exchange = Exchange.ofUpgrade(request, socket);
    try {
      authorize(request, expected);
      const target = targetOf(request);
      if (target.exchange !== undefined) socket.once('close', followed.begin(target.exchange));
      http1.upgrade(exchange, socket, head, target, endpointOf(target));
    } catch (error) {
      exchange.fail(asEgressError(error));
    }
  });
  for (const [place, { host, port }] of relays.entries()) relay(EGRESS_DESCRIPTOR + 1 + place, host, port);
  server.listen({ fd: EGRESS_DESCRIPTOR }, () => tell({ type: 'ready' }));
}

async function answer(exchange: Exchange, token: Buffer): Promise<void> {
  const { request } = exchange;
  authorize(request, token);
  if (request.headers[EGRESS_TARGET] === undefined) return await operate(exchange);
  const target = targetOf(request);
  const endpoint = endpointOf(target);
  if (target.version === '2') await http2.send(exchange, target, endpoint);
  else http1.send(exchange, target, endpoint);
}

function authorize({ headers }: IncomingMessage, expected: Buffer): void {
  const shown = Buffer.from(String(headers[EGRESS_TOKEN] ?? ''));
  if (shown.byteLength === expected.byteLength && timingSafeEqual(shown, expected)) return;
  throw new EgressError('unauthorized', false, 'the egress process serves its own node only');
}

function targetOf({ headers }: IncomingMessage): EgressTarget {
  return parseTarget(String(headers[EGRESS_TARGET]));
}

function endpointOf({ scheme, host, port, version, tls, timeouts }: EgressTarget): Endpoint {
  return {
    host,
    port,
    tls:
      scheme === 'http'
        ? null
        : { identity: identities.get(tls?.identity ?? null), serverName: tls?.serverName ?? null },
    protocol: version === '2' ? 'h2' : 'http/1.1',
    connectTimeout: timeouts.connect,
  };
}

/** What the Worker asks of this process itself. */
async function operate({ request, response }: Exchange): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://egress');
  const [, operation, name = '', part = ''] = pathname.split('/');
  if (request.method === 'PUT' && operation === 'identities') {
    const text = await readText(request);
    identities.add(name, text);
    tell({ type: 'identity', name, text });
    response.writeHead(204).end();
    return;
  }
  if (request.method === 'GET' && operation === 'exchanges') {
    await followed.end(name);
    response.writeHead(204).end();
    return;
  }
  if (request.method === 'GET' && operation === 'connections') {
    const closed = await clients.isClosed(decodeURIComponent(name), Number(part), Number(searchParams.get('to')));
    response.writeHead(closed ? 410 : 204).end();
    return;
  }
  const type = searchParams.get('type') ?? 'A';
  if (request.method === 'GET' && operation === 'dns' && (type === 'A' || type === 'AAAA' || type === 'SRV')) {
    const found: DnsAnswer = await names.resolve(decodeURIComponent(name), type);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(found));
    return;
  }
  throw new EgressError('bad_request', false, `no operation ${request.method} ${request.url}`);
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    length += bytes.byteLength;
    if (length > MAX_IDENTITY) throw new EgressError('bad_request', false, `longer than ${MAX_IDENTITY} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Raw TCP onwards, the name resolved for every connection: workerd itself resolves a fixed address once, at start. */
function relay(descriptor: number, host: string, port: number): void {
  createTcpServer({ allowHalfOpen: true }, (inner) => {
    const outer = connectTcp({ host, port, allowHalfOpen: true });
    inner.pipe(outer);
    outer.pipe(inner);
    inner.on('error', () => outer.destroy());
    outer.on('error', () => inner.destroy());
    inner.on('close', () => outer.destroy());
    outer.on('close', () => inner.destroy());
  }).listen({ fd: descriptor });
}

function tell(message: FromEgress): void {
  process.send?.(message, () => {});
}

process.on('message', (message) => {
  if (isMessage<EgressStart>(message)) serve(message);
});
process.on('disconnect', () => process.exit());
process.on('SIGTERM', () => process.exit());
// A terminal's interrupt goes to the whole group; the host decides when this process ends.
process.on('SIGINT', () => {});
