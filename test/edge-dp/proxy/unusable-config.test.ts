import { afterAll, beforeAll, expect, it } from 'vitest';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import { id, type ProxyNode, route, service, startProxyNode } from './node.ts';
import { startUpstream, type Upstream } from './upstream.ts';

interface Tables {
  readonly routes?: readonly BundleRow[];
  readonly plugins?: readonly BundleRow[];
  readonly upstreams?: readonly BundleRow[];
}

let upstream: Upstream;
let node: ProxyNode;

beforeAll(async () => {
  upstream = await startUpstream();
  node = await startProxyNode({ services: [service(1, upstream.port)], routes: [route(1, '/', 1)] });
});
afterAll(async () => {
  await node?.stop();
  await upstream?.stop();
});

// A control plane refuses all of these at the write; one from before it did may still hold them.
it.each<[what: string, tables: Tables, reason: RegExp]>([
  [
    'a path that no engine has the stack for',
    { routes: [route(2, `~/${'\\w+/'.repeat(5300)}`, 1, { name: 'deep' })] },
    /route \S+ \("deep"\): invalid regex: pattern is too large/,
  ],
  [
    'a header pattern of that kind',
    { routes: [route(2, '/two', 1, { name: 'wide', headers: { x: ['a', `~*${'(a|b|c)?'.repeat(20_000)}`] } })] },
    /route \S+ \("wide"\): invalid regex: pattern is too large/,
  ],
  [
    'a realm that ends its header',
    { plugins: [{ id: id(9), name: 'key-auth', config: { key_names: ['apikey'], realm: 'a\r\nX-Evil: 1' } }] },
    /plugins \S+: 'key-auth': config\.realm: a header cannot hold the control character U\+000D/,
  ],
  [
    'a header without a proper name',
    { plugins: [{ id: id(9), name: 'correlation-id', config: { header_name: 'X Id', generator: 'uuid' } }] },
    /plugins \S+: 'correlation-id': config\.header_name: "X Id" cannot be the name of a header/,
  ],
  [
    'a health check with a header that ends early',
    { upstreams: [{ id: id(9), name: 'u.test', healthchecks: { active: { headers: { 'x-probe': ['a', 'b\0'] } } } }] },
    /upstreams \S+: healthchecks\.active\.headers\.\*\.\*: .*U\+0000/,
  ],
])('refuses %s, names it to the control plane, and serves on', async (_what, tables, reason) => {
  const { controlPlane } = node;
  const from = controlPlane.messages.length;
  const config = {
    services: [service(1, upstream.port)],
    ...tables,
    routes: [route(1, '/', 1), ...(tables.routes ?? [])],
  };
  await controlPlane.publish(Object.fromEntries(Object.entries(config).map(([table, rows]) => [table, { rows }])));
  const { reason: told } = await controlPlane.heard('rejected', () => true, from);
  expect(told).toMatch(reason);
  expect(told.length).toBeLessThan(1000);
  expect((await fetch(`${node.url}/a/b/`)).status).toBe(200);
});
