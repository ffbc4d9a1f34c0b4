import { connect } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { ConnectionCounts } from '../../../cp/listeners/connection-counts.ts';
import { type HttpListener, listen } from '../../../cp/listeners/http-listener.ts';

let listener: HttpListener | undefined;
afterEach(() => listener?.close(0));

/** What comes back, up to the end of the connection, when a client sends this and then goes on a byte at a time. */
function trickle(port: number, beginning: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(beginning));
    const dripping = setInterval(() => socket.write('a'), 20);
    const limit = setTimeout(() => socket.destroy(new Error('the connection was still there after 60 s')), 60_000);
    socket.on('data', (data) => {
      text += data.toString();
    });
    socket.once('error', (error) => ('code' in error && error.code !== undefined ? undefined : reject(error)));
    socket.once('close', () => {
      clearInterval(dripping);
      clearTimeout(limit);
      resolve(text);
    });
  });
}

it.each([
  ['its body', 'POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n'],
  ['its headers', 'GET /x HTTP/1.1\r\nHost: localhost\r\nX-A: '],
])('a client that goes on sending %s for too long is cut off with 408', async (_, beginning) => {
  const outcomes: string[] = [];
  const app = {
    async fetch(request: Request): Promise<Response> {
      const outcome = await request.text().then(
        () => 'whole',
        () => 'cut off',
      );
      outcomes.push(outcome);
      return new Response(outcome);
    },
  };
  const address = { host: '127.0.0.1', port: 0, tls: false, http2: false };
  const patience = { headers: 200, request: 200, interval: 50 };
  listener = await listen(app, address, new ConnectionCounts(), undefined, { patience });
  expect(await trickle(listener.port, beginning)).toMatch(/^HTTP\/1\.1 408 /);
  expect(outcomes).not.toContain('whole');
});
