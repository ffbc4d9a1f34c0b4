import { startGateway } from 'holdfast/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';

let gateway;

beforeAll(async () => {
  gateway = await startGateway({
    config: 'kong.yml',
    upstreams: { 'orders.internal': (request) => Response.json({ by: request.headers.get('x-consumer-username') }) },
  });
});

afterAll(() => gateway?.stop());

it('lets nobody see orders without a key', async () => {
  expect((await gateway.fetch('/orders')).status).toBe(401);
});

it('tells the upstream who asks', async () => {
  const answer = await gateway.fetch('/orders', { headers: { apikey: 'open-sesame' } });
  expect(await answer.json()).toEqual({ by: 'ada' });
});

it('logs each request', async () => {
  const entries = await gateway.logEntries(2);
  expect(entries.map(({ response }) => response.status)).toEqual([401, 200]);
});

it('finds the route of a request without sending it', async () => {
  const { service, plugins } = await gateway.explain('/orders/7', { method: 'POST' });
  expect(service.name).toBe('orders');
  expect(plugins.map(({ name }) => name)).toContain('key-auth');
});

it('lets each consumer have twenty orders an hour', async () => {
  const order = () => gateway.fetch('/orders', { headers: { apikey: 'open-sesame' } });
  let answer = await order();
  while (answer.status === 200) answer = await order();
  expect(answer.status).toBe(429);
  await gateway.advance(3600);
  expect((await order()).status).toBe(200);
});
