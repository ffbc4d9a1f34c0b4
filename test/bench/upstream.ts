/**
 * The upstream, a process of its own: answers every request with five bytes, `/mirror` with what it is sent, `/json` with 10 KB of JSON that may
 * be kept, and prints its port.
 */
import { createServer } from 'node:http';

const body = 'hello';
const rows = Array.from({ length: 100 }, (_, id) => ({
  id,
  name: `row number ${id}`,
  tags: ['some', 'words'],
  on: true,
}));
const json = JSON.stringify({ rows, note: 'x'.repeat(10_240 - JSON.stringify({ rows, note: '' }).length) });
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
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  response.end(body);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address) process.stdout.write(`${address.port}\n`);
});
