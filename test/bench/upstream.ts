/**
 * The upstream, a process of its own: answers every request with five bytes, `/mirror` with what it is sent, `/json` with 10 KB of JSON that may
 * be kept, what begins with `/megabyte` with one, and every unary call of gRPC with five bytes. Prints `PORT GRPC_PORT`.
 */
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';

const body = 'hello';
const rows = Array.from({ length: 100 }, (_, id) => ({
  id,
  name: `row number ${id}`,
  tags: ['some', 'words'],
  on: true,
}));
const json = JSON.stringify({ rows, note: 'x'.repeat(10_240 - JSON.stringify({ rows, note: '' }).length) });
const megabyte = Buffer.alloc(1 << 20, 'x');
const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  if (request.url === '/mirror') return void request.pipe(response.writeHead(200));
  if (request.url === '/json') {
    const length = Buffer.byteLength(json);
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': length,
      'cache-control': 'max-age=3600',
    });
    return void response.end(json);
  }
  const content = request.url?.startsWith('/megabyte') ? megabyte : body;
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': content.length });
  response.end(content);
});
const calls = createHttp2Server();
calls.on('stream', (stream) => {
  stream.on('error', () => undefined).resume();
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.from('\0\0\0\0\x05hello'));
});
const ports = [server, calls].map(
  (each: Server) =>
    new Promise<number>((resolve) => {
      each.listen(0, '127.0.0.1', () => resolve((each.address() as AddressInfo).port));
    }),
);
process.stdout.write((await Promise.all(ports)).join(' '));
