import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ProxyNode, route, service, startProxyNode } from './node.ts';
import { startUpstream, type Upstream } from './upstream.ts';

describe('a config in which a route has no service', () => {
  let upstream: Upstream;
  let node: ProxyNode;
  const rows = () => ({
    services: [service(1, upstream.port), service(2, upstream.port)],
    routes: [route(11, '/orders', 1), route(12, '/users', 2)],
  });

  beforeAll(async () => {
    upstream = await startUpstream();
    node = await startProxyNode(rows());
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
  });

  const publish = async ({ services, routes }: ReturnType<typeof rows>): Promise<void> => {
    await node.controlPlane.publish({ services: { rows: services }, routes: { rows: routes } });
  };
  const refusals = () => node.controlPlane.messages.filter(({ type }) => type === 'rejected');

  it('is refused when the route is new, and when its service is gone; what was before is served on', async () => {
    const { services, routes } = rows();
    const missing = (n: number, of: number) =>
      `routes ${route(n, '/', of).id}: its service ${service(of, 80).id} is not part of the config`;
    await publish({ services, routes: [...routes, route(13, '/new', 3)] });
    await expect.poll(() => JSON.stringify(refusals())).toContain(missing(13, 3));
    await publish({ services: services.slice(0, 1), routes });
    await expect.poll(() => JSON.stringify(refusals())).toContain(missing(12, 2));
    expect((await fetch(`${node.url}/users`)).status).toBe(200);
    await publish({ services: services.slice(0, 1), routes: routes.slice(0, 1) });
    await expect.poll(async () => (await fetch(`${node.url}/users`)).status).toBe(404);
    expect((await fetch(`${node.url}/orders`)).status).toBe(200);
  });
});
