import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startGateway } from './gateway.ts';
import { route, service, startProxyNode } from './node.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const KEY_IN_BODY = { key_names: ['apikey'], key_in_header: false, key_in_query: false, key_in_body: true };
const PROXY = { clientBodyTimeout: 400 };

interface Running {
  readonly raw: (bytes: string) => Promise<unknown>;
  readonly stop: () => Promise<unknown>;
}

/** A service behind one route, and behind another that looks for a key in the body. */
function tables(port: number, fields: Readonly<Record<string, unknown>>) {
  return {
    services: [service(1, port)],
    routes: [route(1, '/plain', 1, fields), route(2, '/keyed', 1, fields)],
    plugins: [{ id: route(9, '/', 1).id, name: 'key-auth', route: { id: route(2, '/', 1).id }, config: KEY_IN_BODY }],
  };
}

describe.each([
  ['natively', (port: number) => startProxyNode(tables(port, {}), { proxy: PROXY })],
  [
    'through the egress process',
    (port: number) => startProxyNode(tables(port, { preserve_host: true }), { proxy: PROXY }),
  ],
  ['on Node', (port: number) => startProxyNode(tables(port, {}), { proxy: PROXY, start: startNodeHost })],
  [
    "through the runtime's sockets",
    (port: number) => startGateway({ tables: tables(port, { preserve_host: true }), proxy: PROXY }),
  ],
])('a client that stops in the middle of its body, %s', (name, start) => {
  let upstream: Upstream;
  let gateway: Running;
  beforeAll(async () => {
    upstream = await startUpstream();
    gateway = await start(upstream.port);
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  it.each([
    ['of known length', '/plain', 'Content-Length: 10\r\n\r\nhalf'],
    ['in chunks', '/plain', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
    ['that a plugin reads', '/keyed', 'Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"a"'],
  ])('gets 408 and the end of the connection, for a body %s', async (_kind, path, rest) => {
    const answer = JSON.stringify(await gateway.raw(`POST ${path} HTTP/1.1\r\nHost: a\r\n${rest}`));
    expect(answer).toContain('HTTP/1.1 408 Request Timeout');
    expect(answer).toContain('Request timeout');
    expect(answer).not.toContain('"closed":false');
    expect(upstream.seen).toEqual([]);
  });

  // Elsewhere `fetch` moves such bodies by itself, and nobody sees that they stop.
  const followed = name === 'on Node' ? ['GET', 'HEAD'] : name.includes('egress') ? ['GET'] : [];
  for (const method of followed)
    it(`gets 408 for the body of a ${method}, too`, async () => {
      const answer = JSON.stringify(
        await gateway.raw(`${method} /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf`),
      );
      expect(answer).toContain('HTTP/1.1 408 Request Timeout');
      expect(upstream.seen).toEqual([]);
    });
});
