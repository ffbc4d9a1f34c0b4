/**
 * A bare proxy on Node, `node bare-proxy.ts UPSTREAM_PORT [CERT KEY]`: node:http in front, undici behind, raw header arrays, nothing else.
 * Prints its port; with a certificate `PORT TLS_PORT HTTP2_PORT`, the last in clear.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { type Dispatcher, Pool } from 'undici';

const [upstream, cert, key] = process.argv.slice(2);
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

const servers: Server[] = [createServer(serve)];
if (cert !== undefined && key !== undefined) {
  servers.push(createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, serve));
  servers.push(createHttp2Server(serveHttp2));
}
const ports = servers.map(
  (server) =>
    new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    }),
);
process.stdout.write((await Promise.all(ports)).join(' '));
