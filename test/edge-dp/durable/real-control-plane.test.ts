import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { DataPlane } from '../../../edge-dp/hosts/options.ts';
import packageFile from '../../../package.json' with { type: 'json' };
import { shared, signingKey, startControlPlane } from '../../cp/cluster/control-plane.ts';
import { hosts, nodeOptions, proxyUrl, SHOWING_WORKER } from '../hosts.ts';
import { alterCache } from '../resting-cache.ts';

describe.each(hosts)('on %s', (_, start) => {
  test('follows the real control plane, whose registry shows what it holds and why it refused something', async () => {
    const prefix = await mkdtemp(join(tmpdir(), 'holdfast node '));
    const { feed, publisher, registry, listener, log, port, stop } = await startControlPlane({
      version: packageFile.version,
    });
    let node: DataPlane | null = null;
    onTestFinished(async () => {
      await node?.stop(0);
      await stop();
      await rm(prefix, { recursive: true, force: true });
    });
    const options = nodeOptions(prefix, null, {
      controlPlanes: [{ host: '127.0.0.1', port }],
      clusterTls: { ...shared, ca: shared.cert, serverName: 'kong_clustering' },
      trustedKeys: { cluster: signingKey.cluster, keys: [signingKey.publicKey] },
    });
    node = await start(options, SHOWING_WORKER);
    const id = node.nodeId;
    const served = async (): Promise<unknown> => {
      const response = await fetch(proxyUrl(node ?? expect.fail(), '/rows/routes'));
      return response.status === 200 ? response.json() : response.status;
    };

    feed.put('routes', { id: 'r1', name: 'one' });
    await publisher.flush();
    await vi.waitFor(async () => expect(await served()).toEqual([{ id: 'r1', name: 'one' }]), { timeout: 60_000 });
    const { manifest } = publisher.current();
    const inSync = { serial: manifest.serial, config_hash: manifest.config_hash };
    await vi.waitFor(
      () => expect(registry.records.get(id)).toMatchObject({ ...inSync, sync_status: 'normal', reason: null }),
      {
        timeout: 60_000,
      },
    );
    // An order that the one signs and the other obeys.
    const body = { message: 'path: should start with: /' };
    const answer = { outcome: 'answered', node: id, status: 400, body };
    expect(await listener.explain({ path: 'nowhere' })).toEqual(answer);
    expect(await listener.copies('a'.repeat(64), null)).toEqual([{ node: id, status: 404, body: {} }]);

    await node.stop(0);
    await alterCache(prefix, (key) => (key === 'manifest' ? Buffer.from('garbage') : null));
    node = await start(options, SHOWING_WORKER);
    expect(await served()).toEqual([{ id: 'r1', name: 'one' }]);
    await vi.waitFor(
      () => expect(registry.records.get(id)).toMatchObject({ ...inSync, reason: 'cache: manifest: not a compact JWS' }),
      { timeout: 60_000 },
    );

    // Installed anew under its old id: it has another key, and is let in when the old one was forgotten.
    const key = registry.records.get(id)?.keys.node;
    expect(key).toMatch(/^[A-Za-z0-9_-]{43}$/);
    await node.stop(0);
    for (const entry of await readdir(prefix, { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && entry.name !== 'node-id') await rm(join(entry.parentPath, entry.name));
    }
    node = await start(options, SHOWING_WORKER);
    expect(node.nodeId).toBe(id);
    await expect.poll(() => log.join('\n')).toContain(`it says it is data plane ${id}, but does not have the key`);
    expect(await served()).toBe(404);
    expect(await listener.forget(id)).toBe(true);
    await expect.poll(served, { timeout: 60_000 }).toEqual([{ id: 'r1', name: 'one' }]);
    expect(registry.records.get(id)?.keys.node).not.toBe(key);
  });
});
