/**
 * A bare proxy on Node, `node bare-proxy.ts UPSTREAM_PORT GRPC_PORT CERT KEY`: node:http in front, undici behind, raw header arrays, nothing
 * else; for gRPC node:http2 on both sides. Prints `PORT TLS_PORT HTTP2_PORT GRPC_PORT`, the last two in clear.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  connect,
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { type Dispatcher, Pool } from 'undici';

const [upstream, grpcUpstream, cert = '', key = ''] = process.argv.slice(2);
const pool = new Pool(`http://127.0.0.1:${upstream}`);

function serve(request: IncomingMessage, response: ServerResponse): void {
  const { method = 'GET', url = '/', rawHeaders } = request;
  const headers = rawHeaders.filter((_, at) => !/^(?:connection|host)$/i.test(rawHeaders[at - (at % 2)] ?? ''));
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => undefined,
    onResponseStart(controller, status, _headers, message) {
      const raw = Array.isArray(controller.rawHeaders) ? controller.rawHeaders : [];
      response.sendDate = false;
      response.writeHead(
        status,
        message,
        raw.map((part) => part.toString('latin1')),
      );
    },
    onResponseData: (_controller, chunk) => void response.write(chunk),
    onResponseEnd: () => void response.end(),
    onResponseError: () => void response.destroy(),
  };
  pool.dispatch({ method, path: url, headers }, handler);
}

function serveHttp2(request: Http2ServerRequest, response: Http2ServerResponse): void {
  const { method, url, headers } = request;
  const fields = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => undefined,
    onResponseStart(_controller, status, received) {
      const { connection: _, 'keep-alive': __, ...kept } = received;
      response.writeHead(status, kept);
    },
    onResponseData: (_controller, chunk) => void response.write(chunk),
    onResponseEnd: () => void response.end(),
    onResponseError: () => void response.stream.destroy(),
  };
  pool.dispatch({ method, path: url, headers: Object.fromEntries(fields) }, handler);
}

const session = connect(`http://127.0.0.1:${grpcUpstream}`);

function serveGrpc(stream: ServerHttp2Stream, { ':authority': _, ...headers }: IncomingHttpHeaders): void {
  let trailers: IncomingHttpHeaders = {};
  const call = session.request(headers);
  stream.on('error', () => call.close()).on('wantTrailers', () => stream.sendTrailers(trailers));
  call.on('error', () => stream.close());
  call.on('trailers', (received) => {
    trailers = received;
  });
  call.on('response', (received) => {
    // Its client is gone.
    if (stream.destroyed) return void call.close();
    stream.respond(received, { waitForTrailers: true });
    call.pipe(stream);
  });
  stream.pipe(call);
}

const servers: Server[] = [
  createServer(serve),
  createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, serve),
  createHttp2Server(serveHttp2),
  createHttp2Server().on('stream', serveGrpc),
];
const ports = servers.map(
  (server) =>
    new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    }),
);
process.stdout.write((await Promise.all(ports)).join(' '));
