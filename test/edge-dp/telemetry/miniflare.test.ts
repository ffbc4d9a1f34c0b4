import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { AgedBatch } from '../../../cp/telemetry/history.ts';
import { startMiniflareHost } from '../../../edge-dp/hosts/miniflare/host.ts';
import packageFile from '../../../package.json' with { type: 'json' };
import { shared, signingKey, startControlPlane } from '../../cp/cluster/control-plane.ts';
import { nodeOptions, proxyUrl } from '../hosts.ts';

test('a node on Miniflare tells of requests, by the one Durable Object that it has for it, and begins anew with another endpoint', async () => {
  const prefix = await mkdtemp(join(tmpdir(), 'holdfast node '));
  const kept: AgedBatch[] = [];
  const plane = await startControlPlane({
    version: packageFile.version,
    telemetry: { keep: async (batches) => void kept.push(...batches) },
  });
  onTestFinished(plane.stop);
  onTestFinished(() => rm(prefix, { recursive: true, force: true }));
  const there = { host: '127.0.0.1', port: plane.listener.telemetryAddresses[0]?.port ?? 0 };
  // One at which nobody listens, first.
  const endpoints = [{ host: '127.0.0.1', port: 1 }, there];
  const node = await startMiniflareHost(
    nodeOptions(prefix, null, {
      controlPlanes: [{ host: '127.0.0.1', port: plane.port }],
      clusterTls: { ...shared, ca: shared.cert, serverName: 'kong_clustering' },
      telemetry: { endpoints, serverName: 'kong_clustering' },
      trustedKeys: { cluster: signingKey.cluster, keys: [signingKey.publicKey] },
    }),
  );
  onTestFinished(() => node.stop(0));
  for (let times = 0; times < 20; times++) await (await fetch(proxyUrl(node, '/nowhere'))).arrayBuffer();
  const told = () => kept.flatMap(({ batch }) => batch.series.filter(({ dimension }) => dimension === 'route'));
  const requests = () =>
    told().reduce((sum, { request }) => sum + request.buckets.reduce((all, count) => all + count, 0), 0);
  await expect.poll(requests, { timeout: 60_000 }).toBe(20);
  expect(told()).toEqual(told().map(() => expect.objectContaining({ subject: '', status: 4, source: 'kong' })));
  expect(new Set(kept.map(({ batch }) => batch.node))).toEqual(new Set([node.nodeId]));
});
