import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from 'vitest';
import { startGateway } from '../../testing/main.ts';

const CONFIG = `
_format_version: "3.0"
services:
  - name: orders
    url: https://orders.internal/v1
    routes:
      - name: orders
        paths: [/orders]
        plugins:
          - name: key-auth
          - name: pre-function
            config: { access: ["kong.service.request.set_header('x-token', kong.vault.get('{vault://env/order-token}'))"] }
consumers:
  - username: ada
    keyauth_credentials:
      - key: open-sesame
`;

it("tries a gateway's own config, with stand-ins for its upstreams, and several side by side", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast config '));
  const file = join(folder, 'kong.yml');
  writeFileSync(file, CONFIG);
  const seen: Request[] = [];
  const orders = (request: Request) => {
    seen.push(request);
    return Response.json({ orders: [] }, { status: 201 });
  };
  const [first, second] = await Promise.all([
    startGateway({
      config: file,
      upstreams: { 'orders.internal': orders },
      environment: { ORDER_TOKEN: 'sesame' },
    }),
    startGateway({ config: CONFIG, upstreams: { 'orders.internal': () => new Response('other') } }),
  ]);
  try {
    expect((await first.fetch('/orders/7')).status).toBe(401);
    const answer = await first.fetch('/orders/7?full=1', { headers: { apikey: 'open-sesame' } });
    expect([answer.status, await answer.json()]).toEqual([201, { orders: [] }]);
    expect(seen).toHaveLength(1);
    expect(new URL(seen[0]?.url ?? '')).toMatchObject({
      hostname: 'orders.internal',
      pathname: '/v1/7',
      search: '?full=1',
    });
    expect(seen[0]?.headers.get('x-token')).toBe('sesame');
    expect(seen[0]?.headers.get('x-consumer-username')).toBe('ada');

    const entries = await first.logEntries(2);
    expect(entries).toHaveLength(2);
    expect(entries[1]).toMatchObject({
      route: { name: 'orders' },
      consumer: { username: 'ada' },
      response: { status: 201 },
    });

    const limited = {
      _format_version: '3.0',
      services: [{ url: 'http://orders.internal', routes: [{ name: 'limited', paths: ['/limited'] }] }],
      plugins: [{ name: 'rate-limiting', config: { year: 1, policy: 'local' } }],
    };
    await second.reload(limited);
    await expect.poll(async () => (await second.fetch('/limited')).status).toBe(200);
    expect((await second.fetch('/limited')).status).toBe(429);
    await second.advance(366 * 86_400);
    expect((await second.fetch('/limited')).status).toBe(200);
    expect((await second.fetch('/limited')).status).toBe(429);

    expect(await first.explain('/orders/7', { method: 'POST', host: 'api.test' })).toMatchObject({
      route: { name: 'orders' },
      upstream: { path: '/v1/7' },
      plugins: [{ name: 'pre-function' }, { name: 'key-auth' }, { name: 'file-log' }],
    });
    await expect(first.explain('orders')).rejects.toThrow('path: should start with: /');

    await first.reload({
      _format_version: '3.0',
      services: [{ url: 'http://orders.internal', routes: [{ paths: ['/open'] }] }],
    });
    await expect.poll(async () => (await first.fetch('/open')).status).toBe(201);
    expect((await first.fetch('/orders/7')).status).toBe(404);
  } finally {
    await Promise.all([first.stop(), second.stop()]);
    // As `await using` does after it.
    await first[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  }
});

it('says what is wrong with a config, and of a stand-in that nothing leads to', async () => {
  const services = [{ name: 'orders', url: 'http://orders.internal', retries: 'many' }];
  const config = { _format_version: '3.0', services };
  await expect(startGateway({ config, upstreams: { order: () => new Response() } })).rejects.toThrow(
    "upstreams: no service of the config has the host 'order'; they have orders.internal",
  );
  await expect(startGateway({ config })).rejects.toThrow(/retries/);
  await expect(startGateway({ config: 'no-such.yml' })).rejects.toThrow("config: there is no file 'no-such.yml'");
});
