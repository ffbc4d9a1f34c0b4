import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMiniflareHost } from '../../../edge-dp/hosts/miniflare/host.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { recordOrEmpty } from '../../../shared/record.ts';
import { admin as api } from '../../e2e/processes.ts';
import type { StartHost } from '../hosts.ts';
import { exchange } from './case-runner/exchange.ts';
import { type CaseGateway, startCaseGateway } from './case-runner/gateway.ts';
import { type CaseUpstream, startCaseUpstream } from './case-runner/upstream.ts';

const PLUGINS = { HOLDFAST_PLUGINS: 'key-auth, teapot', HOLDFAST_PLUGINS_DIR: resolve('test/own-plugins') };

const builds: string[] = [];
afterAll(() => Promise.all(builds.map((folder) => rm(folder, { recursive: true, force: true }))));

/** The Worker that `wrangler` would upload, run by Miniflare. */
const builtForCloudflare: StartHost = async (options) => {
  const folder = await mkdtemp(join(tmpdir(), 'built worker '));
  builds.push(folder);
  await promisify(execFile)(process.execPath, [resolve('cp/holdfast.js'), 'worker', folder], {
    env: { ...process.env, ...PLUGINS },
  });
  return startMiniflareHost(options, join(folder, 'worker.js'));
};

// workerd and Miniflare without the build have what the node has by the same path.
describe.each([
  ['node', startNodeHost],
  ['Miniflare, as built for Cloudflare', builtForCloudflare],
] satisfies [string, StartHost][])('a plugin of one’s own in TypeScript, on %s', (_, start) => {
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
      environment: PLUGINS,
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
});
