import { afterAll, beforeAll, expect, it } from 'vitest';
import { startMiniflareHost } from '../../../edge-dp/hosts/miniflare/host.ts';
import { id, type ProxyNode, responses, route, service, startProxyNode } from './node.ts';
import { startUpstream, type Upstream } from './upstream.ts';

let upstream: Upstream;
let node: ProxyNode;

beforeAll(async () => {
  upstream = await startUpstream();
  const secure = { protocol: 'https' };
  node = await startProxyNode(
    {
      services: [
        service(1, upstream.port, { ...secure, client_certificate: { id: id(60) } }),
        service(2, upstream.port, { ...secure, tls_verify: true, ca_certificates: [id(61)] }),
        service(3, upstream.port, { ...secure, tls_verify: true, tls_verify_depth: 1 }),
        service(4, upstream.port, { protocol: 'grpc' }),
        service(5, upstream.port, { ...secure, tls_verify: true }),
      ],
      certificates: [{ id: id(60), cert: 'PEM', key: 'PEM' }],
      ca_certificates: [{ id: id(61), cert: 'PEM' }],
      routes: [...[1, 2, 3, 4].map((n) => route(n, `/${n}`, n)), route(5, '/5', 5, { preserve_host: true })],
    },
    { start: startMiniflareHost },
  );
});
afterAll(async () => {
  await node?.stop();
  await upstream?.stop();
});

// A host without egress process: what a service asks for its protection is never left out in silence.
it.each([
  [1, 'no client certificates for upstreams'],
  [2, 'no private CAs for upstreams'],
  [3, 'no tls_verify_depth'],
  [4, 'no HTTP/2 to upstreams'],
  [5, 'no verified TLS with a Host other than the address'],
])('refuses service %i, naming what this host cannot do, and connects to nobody', async (n, reason) => {
  const { text } = await node.raw(`GET /${n} HTTP/1.1\r\nHost: a\r\n\r\n`, { answers: 1 });
  const [answer] = responses(text);
  expect(answer?.status).toBe(500);
  expect(answer?.body).toContain(`service service-${n}`);
  expect(answer?.body).toContain(reason);
  expect(upstream.seen).toEqual([]);
});
