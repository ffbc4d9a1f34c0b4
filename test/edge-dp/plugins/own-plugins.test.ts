import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordOrEmpty } from '../../../shared/record.ts';
import { admin as api } from '../../e2e/processes.ts';
import teapot from '../../own-plugins/teapot/handler.ts';
import { hosts } from '../hosts.ts';
import { exchange } from './case-runner/exchange.ts';
import { type CaseGateway, startCaseGateway } from './case-runner/gateway.ts';
import { type CaseUpstream, startCaseUpstream } from './case-runner/upstream.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const FOLDER = fileURLToPath(new URL('../../own-plugins', import.meta.url));

it('a hook of a plugin of one’s own is tried alone', async () => {
  const hooks = teapot.compile({ header: 'x-drink', report_to: null }, EVERYWHERE, fakeServices());
  expect(await hooks.access?.(fakeRequest({ headers: { 'x-drink': 'coffee' } }))).toMatchObject({ status: 418 });
  expect(await hooks.access?.(fakeRequest({ headers: { 'x-drink': 'tea' } }))).toBeUndefined();
});

// Miniflare has the Worker as workerd has it.
describe.each(hosts.filter(([name]) => name !== 'workerd'))(
  'a plugin of one’s own in TypeScript, on %s',
  (_, start) => {
    let gateway: CaseGateway;
    let upstream: CaseUpstream;
    const drink = (what: string) =>
      exchange(
        {
          method: 'GET',
          path: '/',
          headers: [
            ['Host', 'pot.test'],
            ['X-Drink', what],
            ['Connection', 'close'],
          ],
          body: null,
          tls: false,
        },
        gateway.ports.plain,
      );

    beforeAll(async () => {
      upstream = await startCaseUpstream();
      gateway = await startCaseGateway(start, {
        tls: false,
        environment: { HOLDFAST_PLUGINS: 'key-auth, teapot', HOLDFAST_PLUGINS_DIR: FOLDER },
      });
      const url = `http://${upstream.host}:${upstream.port}`;
      await api(`${gateway.admin}/services`, 'POST', { name: 's', url });
      await api(`${gateway.admin}/services/s/routes`, 'POST', { name: 'pot', hosts: ['pot.test'] });
      const config = { report_to: `${url}/report` };
      expect(await api(`${gateway.admin}/routes/pot/plugins`, 'POST', { name: 'teapot', config })).toMatchObject({
        config: { header: 'X-Drink' },
      });
      await gateway.applied();
    });
    afterAll(async () => {
      await gateway?.stop();
      await upstream?.stop();
    });

    it('is validated by its schema, runs, and is all that was chosen beside key-auth', async () => {
      await expect(
        api(`${gateway.admin}/plugins`, 'POST', { name: 'teapot', config: { header: 'no header' } }),
      ).rejects.toThrow('no header');
      expect(await api(`${gateway.admin}/schemas/plugins/teapot`)).toMatchObject({ fields: expect.any(Array) });
      expect(await drink('coffee')).toMatchObject({ status: 418 });
      expect((await drink('tea')).headers).toMatchObject({ 'x-served-in': 'a pot' });
      await expect
        .poll(() => upstream.received.filter(({ target }) => target === '/report').map(({ body }) => JSON.parse(body)))
        .toMatchObject([
          { drink: 'coffee', status: 418 },
          { drink: 'tea', status: 200 },
        ]);
      const { data } = await api(`${gateway.admin}/clustering/data-planes`);
      const [node] = Array.isArray(data) ? data.map(recordOrEmpty) : [];
      expect((await api(`${gateway.admin}/clustering/data-planes/${node?.id}`)).plugins).toEqual({
        'key-auth': '3.9.3',
        teapot: '1.0.0',
      });
    });
  },
);
