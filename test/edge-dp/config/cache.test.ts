import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { generateClusterCertificate } from '../../../cp/pki/certificate.ts';
import { ControlPlane, type TestConfig } from '../control-plane.ts';
import { hosts, statusUrl } from '../hosts.ts';
import { NodeFixture } from '../node-fixture.ts';
import { alterCache, snapshotCache } from '../resting-cache.ts';

function routesNamed(name: string): TestConfig {
  return { routes: { rows: [{ id: 'r1', name }] } };
}

describe.each(hosts)('on %s', (_, start) => {
  let fixture: NodeFixture;

  beforeEach(async () => {
    fixture = await NodeFixture.create(start);
  });
  afterEach(() => fixture.remove());

  /** Publishes, and waits until the node has taken it; gives the signed manifest. */
  async function applied(name: string): Promise<string> {
    const manifest = await fixture.controlPlane.publish(routesNamed(name));
    const published = fixture.controlPlane.serial;
    await fixture.controlPlane.heard('applied', ({ serial }) => serial === published);
    return manifest;
  }

  /** Both planes stop; the node comes back alone. */
  async function restartAlone(betweenStopAndStart: () => Promise<unknown> = async () => undefined): Promise<void> {
    await fixture.stop();
    await fixture.controlPlane.stop();
    await betweenStopAndStart();
    await fixture.start();
  }

  test('serves from the cache when restarted without a control plane, and catches up when it is back', async () => {
    await fixture.start();
    await applied('one');
    await restartAlone();
    expect(await fixture.routes()).toEqual(['one']);

    await fixture.controlPlane.publish(routesNamed('two'));
    const from = fixture.controlPlane.messages.length;
    await fixture.controlPlane.start();
    const { manifest } = await fixture.controlPlane.heard('hello', () => true, from);
    expect(manifest).toMatch(/^eyJ/);
    await fixture.controlPlane.heard('applied', ({ serial }) => serial === 2, from);
    expect(await fixture.routes()).toEqual(['two']);
  });

  test.each([
    ['garbage', () => Buffer.from('\0garbage\xff'), /not a compact JWS/],
    ['a tampered signature', (bytes: Buffer) => Buffer.from(`${bytes.subarray(0, -8)}AAAAAAAA`), /does not verify/],
  ])(
    'finds %s in place of the cached manifest, reports it, and serves the last config all the same',
    async (_what, damage, reason) => {
      await fixture.start();
      await applied('one');
      await restartAlone(async () => {
        const changed = await alterCache(fixture.prefix, (key, bytes) => (key === 'manifest' ? damage(bytes) : null));
        expect(changed).toEqual(['manifest']);
      });
      expect(await fixture.routes()).toEqual(['one']);
      await fixture.controlPlane.start();
      expect((await fixture.controlPlane.heard('rejected')).reason).toMatch(reason);
    },
  );

  test('refuses damaged objects of the cache and fetches them anew', async () => {
    await fixture.start();
    await applied('one');
    await restartAlone(() =>
      alterCache(fixture.prefix, (key, bytes) => (key.startsWith('objects/') ? bytes.fill(0, 5, 15) : null)),
    );
    expect(await fixture.routes()).toBe(503);
    await fixture.controlPlane.start();
    expect((await fixture.controlPlane.heard('rejected')).reason).toMatch(/cache: object [0-9a-f]{64}:/);
    await vi.waitFor(async () => expect(await fixture.routes()).toEqual(['one']), { timeout: 60_000 });
    const metrics = await (await fetch(statusUrl(fixture.node, '/metrics'))).text();
    expect(metrics).toMatch(/^holdfast_config_cache_errors_total [1-9]/m);

    await restartAlone();
    expect(await fixture.routes()).toEqual(['one']);
  });

  test('refuses an older cache put in place of the present one', async () => {
    await fixture.start();
    await applied('one');
    await fixture.stop();
    const restore = await snapshotCache(fixture.prefix);
    await fixture.start();
    await applied('two');
    await restartAlone(restore);
    expect(await fixture.routes()).toBe(503);
    await fixture.controlPlane.start();
    const { reason } = await fixture.controlPlane.heard('rejected');
    expect(reason).toMatch(/serial 1 is older than serial 2, which was already applied/);
    await vi.waitFor(async () => expect(await fixture.routes()).toEqual(['two']), { timeout: 60_000 });
  });

  test('keeps the earlier config whole when killed while it takes the next', async () => {
    await fixture.start();
    await applied('one');
    const { controlPlane } = fixture;
    const shard = vi.fn();
    const next: TestConfig = { ...routesNamed('two'), keys: { rows: [{ id: 'k', key: 'x' }], lookup: 'key' } };
    const known = new Set(controlPlane.objects.keys());
    controlPlane.deliver = (name, gzip) => {
      if (known.has(name) || !isShard(controlPlane, name)) return gzip;
      shard();
      return null;
    };
    await controlPlane.publish(next);
    await vi.waitFor(() => expect(shard).toHaveBeenCalled(), { timeout: 60_000 });
    for (const pid of fixture.node.pids()) process.kill(pid, 'SIGKILL');
    await restartAlone();
    expect(await fixture.routes()).toEqual(['one']);

    controlPlane.deliver = (_name, gzip) => gzip;
    await controlPlane.start();
    await controlPlane.heard('applied', ({ serial }) => serial === 2);
    expect(await fixture.routes()).toEqual(['two']);
    expect(await (await fixture.get('/lookup/keys/x')).json()).toEqual([{ id: 'k', key: 'x' }]);
  });

  test('keeps an encrypted cache that shows nothing and serves all the same', async () => {
    await fixture.start({ cacheMode: 'encrypted' });
    await applied('very-secret-name');
    await fixture.stop();
    await fixture.controlPlane.stop();
    await alterCache(fixture.prefix, (_key, bytes) => {
      // Neither a manifest's header nor gzip's magic bytes.
      expect(bytes.subarray(0, 3).toString()).not.toBe('eyJ');
      expect(bytes.subarray(0, 2)).not.toEqual(Buffer.of(0x1f, 0x8b));
      return null;
    });
    await fixture.start({ cacheMode: 'encrypted' });
    expect(await fixture.routes()).toEqual(['very-secret-name']);
  });

  test('writes an encrypted cache anew when the key was renewed, also what no request has needed yet', async () => {
    const { controlPlane } = fixture;
    await fixture.start({ cacheMode: 'encrypted' });
    await controlPlane.publish({ ...routesNamed('one'), keys: { rows: [{ id: 'k', key: 'x' }], lookup: 'key' } });
    await controlPlane.heard('applied');
    await fixture.stop();
    await controlPlane.stop();
    controlPlane.certificate = await generateClusterCertificate();
    await fixture.start({ cacheMode: 'encrypted' });
    expect(await fixture.routes()).toBe(503);
    const from = controlPlane.messages.length;
    await controlPlane.start();
    expect((await controlPlane.heard('rejected', () => true, from)).reason).toMatch(
      /manifest: not encrypted under this node's cache key/,
    );
    await controlPlane.heard('applied', () => true, from);
    await fixture.stop();
    await controlPlane.stop();
    await fixture.start({ cacheMode: 'encrypted' });
    expect(await fixture.routes()).toEqual(['one']);
    expect(await (await fixture.get('/lookup/keys/x')).json()).toEqual([{ id: 'k', key: 'x' }]);
  });

  test('takes config of another cluster whose keys it is given, though its serials are lower', async () => {
    await fixture.start();
    await fixture.controlPlane.publish(routesNamed('old'), { serial: 900 });
    await fixture.controlPlane.heard('applied', ({ serial }) => serial === 900);
    await fixture.stop();
    const other = await ControlPlane.create();
    await other.start();
    onTestFinished(() => other.stop());
    await other.publish(routesNamed('new'), { serial: 5 });
    const { certificate, serverName, signingKey, port } = other;
    await fixture.start({
      controlPlanes: [{ host: '127.0.0.1', port }],
      clusterTls: { ...certificate, ca: certificate.cert, serverName },
      trustedKeys: { cluster: signingKey.cluster, keys: [signingKey.publicKey] },
    });
    expect((await other.heard('hello')).manifest).toBeNull();
    expect(await other.heard('applied')).toMatchObject({ serial: 5 });
    expect(await fixture.routes()).toEqual(['new']);
    const from = fixture.controlPlane.signingKey.cluster;
    await expect
      .poll(() => fixture.log.join('\n'))
      .toContain(`belonged to cluster ${from} and belongs to cluster ${signingKey.cluster}`);
  });

  test('rests nothing with cache mode off', async () => {
    await fixture.start({ cacheMode: 'off' });
    const signed = await applied('one');
    expect(await fixture.routes()).toEqual(['one']);
    await fixture.stop();
    expect(await filesWith(fixture.prefix, signed)).toEqual([]);
    expect(await alterCache(fixture.prefix, (key) => Buffer.from(key)).catch(() => [])).toEqual([]);
    // What is looked for would be found.
    await fixture.start({ cacheMode: 'unencrypted' });
    const kept = await applied('two');
    await fixture.stop();
    expect((await filesWith(fixture.prefix, kept)).length).toBeGreaterThanOrEqual(2);
    // Nor is anything read that rests from before.
    await fixture.controlPlane.stop();
    await fixture.start({ cacheMode: 'off' });
    expect(await fixture.routes()).toBe(503);
    await fixture.controlPlane.start();
    await vi.waitFor(async () => expect(await fixture.routes()).toEqual(['two']), { timeout: 60_000 });
  });
});

/** Files of a node, those of the link included, that hold a manifest, or what is left of it between two pages. */
async function filesWith(folder: string, manifest: string): Promise<string[]> {
  const parts = manifest.split('.')[1]?.match(/.{64}/g) ?? [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const holds = async (file: string): Promise<boolean> => {
    const bytes = await readFile(file);
    return parts.some((part) => bytes.includes(part));
  };
  const held = await Promise.all(files.map(holds));
  return files.filter((_, position) => held[position]);
}

function isShard(controlPlane: { objects: ReadonlyMap<string, Uint8Array> }, name: string): boolean {
  return [...controlPlane.objects.keys()].at(-2) === name;
}
