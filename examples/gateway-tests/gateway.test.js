import { startGateway } from 'holdfast/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';

let gateway;

beforeAll(async () => {
  gateway = await startGateway({
    config: 'kong.yml',
    upstreams: { 'orders.internal': (request) => Response.json({ by: request.headers.get('x-consumer-username') }) },
  });
}, 60_000);

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
