/** The upstream, a process of its own: answers every request with five bytes, `/mirror` with what it is sent, and prints its port. */
import { createServer } from 'node:http';

const body = 'hello';
const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  if (request.url === '/mirror') return void request.pipe(response.writeHead(200));
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  response.end(body);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address) process.stdout.write(`${address.port}\n`);
});
