import { Agent, get } from 'node:http';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { hashedField } from '../../../shared/bundle/lookup.ts';
import { buildManifest } from '../../../shared/bundle/manifest.ts';
import { packObject } from '../../../shared/bundle/object.ts';
import { hosts, proxyUrl, statusUrl } from '../hosts.ts';
import { NodeFixture } from '../node-fixture.ts';
import { alterCache } from '../resting-cache.ts';

describe.each(hosts)('on %s', (_, start) => {
  let fixture: NodeFixture;

  beforeEach(async () => {
    fixture = await NodeFixture.create(start);
  });
  afterEach(() => fixture.remove());

  test('becomes ready with its first config, answers 404 before, and shows serial and hash', async () => {
    await fixture.start();
    const status = async (path: string): Promise<[number, unknown]> => {
      const response = await fetch(statusUrl(fixture.node, path));
      return [response.status, await response.json()];
    };
    const zeros = '0'.repeat(32);
    const reason = 'no configuration available (empty configuration present)';
    expect(await status('/status/ready')).toEqual([503, { message: reason, serial: null, configuration_hash: zeros }]);
    expect(await fixture.routes()).toBe(404);

    await fixture.controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'one' }] } });
    const { config_hash } = await fixture.controlPlane.heard('applied');
    expect(await status('/status/ready')).toEqual([
      200,
      { message: 'ready', serial: 1, configuration_hash: config_hash },
    ]);
    expect(await status('/status')).toEqual([200, expect.objectContaining({ configuration_hash: config_hash })]);
    expect(await status('/services')).toEqual([404, { message: 'Not found' }]);

    const drain = await fetch(statusUrl(fixture.node, '/status/ready'), {
      method: 'POST',
      body: new URLSearchParams({ status: 'draining' }),
    });
    expect(drain.status).toBe(204);
    expect(await status('/status/ready')).toEqual([503, expect.objectContaining({ message: 'draining' })]);
  });

  test('hands over only the rows that changed, and fetches only the objects that hold them', async () => {
    await fixture.start();
    const { controlPlane } = fixture;
    const rows = Array.from({ length: 200 }, (_, n) => ({ id: `r${String(n).padStart(3, '0')}`, name: `name ${n}` }));
    await controlPlane.publish({ routes: { rows, bits: 4 }, services: { rows: [{ id: 's1', name: 's' }] } });
    await controlPlane.heard('applied');
    controlPlane.fetched.length = 0;
    const changed = rows.filter(({ id }) => id !== 'r100');
    changed[7] = { id: 'r007', name: 'renamed' };
    changed.push({ id: 'x', name: 'new' });
    await controlPlane.publish({ routes: { rows: changed, bits: 4 }, services: { rows: [{ id: 's1', name: 's' }] } });
    await controlPlane.heard('applied', ({ serial }) => serial === 2);
    expect(controlPlane.fetched.length).toBeLessThanOrEqual(4);
    const last: { routes: { upserts: { name: string }[]; deletes: string[] } } = JSON.parse(
      await (await fixture.get('/changes')).text(),
    );
    expect(Object.keys(last)).toEqual(['routes']);
    expect(last.routes.upserts.map(({ name }) => name).toSorted()).toEqual(['new', 'renamed']);
    expect(last.routes.deletes).toEqual(['r100']);
    expect(((await fixture.routes()) as string[]).length).toBe(200);

    // Spread over another number of objects, every object is another one, and still no row changed.
    await controlPlane.publish({ routes: { rows: changed, bits: 2 }, services: { rows: [{ id: 's1', name: 't' }] } });
    await controlPlane.heard('applied', ({ serial }) => serial === 3);
    expect(Object.keys(JSON.parse(await (await fixture.get('/changes')).text()))).toEqual(['services']);
  });

  test('finds rows of lazy tables without a control plane, and fails closed when a shard cannot be had', async () => {
    await fixture.start();
    const { controlPlane } = fixture;
    const rows = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => ({
        id: `k${n}`,
        key: await hashedField(`secret-${n}`),
        ttl: null as number | null,
      })),
    );
    rows.push({ id: 'old', key: await hashedField('secret-7'), ttl: 1 });
    await controlPlane.publish({ keys: { rows, bits: 3, lookup: 'key', hashed: ['key'] } });
    await controlPlane.heard('applied');
    await controlPlane.stop();
    const lookup = async (value: string): Promise<unknown> => {
      const response = await fixture.get(`/lookup/keys/${value}`);
      return response.status === 200 ? response.json() : response.status;
    };
    expect(await lookup('secret-7')).toEqual([expect.objectContaining({ id: 'k7' })]);
    expect(await lookup('no-such-key')).toEqual([]);

    // The shards in memory serve on; after a restart they are read from the cache again, where they are gone now.
    await fixture.stop();
    const index = new Set<string>();
    for (const [name, gzip] of controlPlane.objects) {
      if (Buffer.from(await gunzipped(gzip)).includes('"objects"')) index.add(`objects/${name}`);
    }
    await alterCache(fixture.prefix, (key, bytes) =>
      key.startsWith('objects/') && !index.has(key) ? bytes.fill(0) : null,
    );
    await fixture.start();
    expect(await lookup('secret-7')).toBe(503);
    await controlPlane.start();
    await vi.waitFor(async () => expect(await lookup('secret-7')).toEqual([expect.objectContaining({ id: 'k7' })]), {
      timeout: 60_000,
    });
  });

  test('serves declarative_config until a control plane gives a config, and never in its place', async () => {
    const { controlPlane } = fixture;
    await controlPlane.stop();
    const declarative = await declaring('declared');
    await fixture.start({ declarative });
    expect(await fixture.routes()).toEqual(['declared']);
    await controlPlane.start();
    await controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'published' }] } });
    await controlPlane.heard('applied');
    expect(await fixture.routes()).toEqual(['published']);

    await fixture.stop();
    await controlPlane.stop();
    await alterCache(fixture.prefix, (key, bytes) => (key.startsWith('objects/') ? bytes.fill(0) : null));
    await fixture.start({ declarative });
    expect(await fixture.routes()).toBe(503);
    await fixture.stop();
    // Unless it is told that there are no control planes any more.
    await fixture.start({ declarative, controlPlanes: [] });
    expect(await fixture.routes()).toEqual(['declared']);
  });
});

/** A declarative config of one route, as a host packs it. */
async function declaring(name: string) {
  const { object, size } = await packObject({ table: 'routes', rows: [{ id: 'd', name }] });
  const objects = [{ name: object.name, size }];
  const index = await packObject({ table: 'routes', key: 'id', hashed: [], bits: 0, objects });
  const manifest = await buildManifest({
    cluster: crypto.randomUUID(),
    group: 'default',
    serial: 0,
    issued_at: 0,
    tables: { routes: { index: index.object.name, rows: 1, mode: 'eager' } },
    plugins: {},
    keys: [],
  });
  return { manifest, objects: [object, index.object] };
}

// Miniflare runs one process; on workerd connections are spread over several.
test.each([
  ['workerd', startWorkerdHost],
  ['node', startNodeHost],
])('every process of a node sees the swap, also those that do not own the link, on %s', async (_, start) => {
  const fixture = await NodeFixture.create(start);
  onTestFinished(() => fixture.remove());
  await fixture.start({ processes: 2 });
  expect(fixture.node.pids().length).toBe(2);
  const agent = new Agent({ keepAlive: false });
  const served = (): Promise<string> =>
    new Promise((resolve, reject) => {
      get(proxyUrl(fixture.node, '/rows/routes'), { agent }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => resolve(body));
      }).on('error', reject);
    });
  for (const name of ['one', 'two', 'three']) {
    await fixture.controlPlane.publish({ routes: { rows: [{ id: 'r1', name }] } });
    const everywhere = async (): Promise<void> => {
      const answers = await Promise.all(Array.from({ length: 30 }, served));
      expect(new Set(answers)).toEqual(new Set([JSON.stringify([{ id: 'r1', name }])]));
    };
    await vi.waitFor(everywhere, { timeout: 60_000 });
  }
});

async function gunzipped(gzip: Uint8Array): Promise<ArrayBuffer> {
  const stream = new Blob([Uint8Array.from(gzip)]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).arrayBuffer();
}
