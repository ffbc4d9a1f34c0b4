import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { expectClient } from '../../../edge-dp/hosts/node/http/send-timeout.ts';

/** More than a connection has room for. */
const LONG = Buffer.alloc(32 << 20);

it.each([
  ['in one piece', [LONG]],
  ['in parts', [LONG.subarray(1_000), LONG.subarray(0, 1_000)]],
])('an answer %s that waits for its client leaves the connection no time limit', async (_, parts) => {
  const asked: { socket: Socket; to: ServerResponse }[] = [];
  const server = createServer({ keepAliveTimeout: 0 }, ({ socket }, to) => {
    to.writeHead(200, { 'Content-Length': LONG.length });
    for (const part of parts) to.write(part);
    to.end();
    expectClient(to, 60_000);
    asked.push({ socket, to });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  const client = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1').pause();
  onTestFinished(() => void client.destroy());
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(server, 'request');
  const [{ socket, to } = { socket: null, to: null }] = asked;
  expect(socket?.timeout).toBe(60_000);
  client.resume();
  if (to !== null) await once(to, 'close');
  expect(socket?.timeout).toBe(0);
});
