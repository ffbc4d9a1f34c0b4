import { fileURLToPath } from 'node:url';
import { EVERYWHERE, fakeRequest, fakeServices, startGateway } from 'holdfast/testing';
import { expect, it, onTestFinished } from 'vitest';
import teapot from './handler.ts';

it('refuses coffee', async () => {
  const hooks = teapot.compile({ header: 'x-drink', report_to: null }, EVERYWHERE, fakeServices());
  expect(await hooks.access?.(fakeRequest({ headers: { 'x-drink': 'coffee' } }))).toMatchObject({ status: 418 });
  expect(await hooks.access?.(fakeRequest({ headers: { 'x-drink': 'tea' } }))).toBeUndefined();
});

it('serves tea in a pot', async () => {
  const gateway = await startGateway({
    settings: { plugins: 'bundled, teapot', plugins_dir: fileURLToPath(new URL('..', import.meta.url)) },
    config: {
      _format_version: '3.0',
      services: [{ host: 'kitchen.internal', routes: [{ paths: ['/'] }], plugins: [{ name: 'teapot' }] }],
    },
    upstreams: { 'kitchen.internal': () => new Response('served') },
  });
  onTestFinished(() => gateway.stop());
  const order = (drink: string) => gateway.fetch('/', { headers: { 'X-Drink': drink } });
  expect((await order('coffee')).status).toBe(418);
  const tea = await order('tea');
  expect([await tea.text(), tea.headers.get('x-served-in')]).toEqual(['served', 'a pot']);
});
