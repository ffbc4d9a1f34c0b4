import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { generateClusterCertificate } from '../../../cp/pki/certificate.ts';
import type { AgedBatch } from '../../../cp/telemetry/history.ts';
import type { ForwardProxy } from '../../../edge-dp/hosts/forward-proxy.ts';
import packageFile from '../../../package.json' with { type: 'json' };
import { shared, signingKey, startControlPlane } from '../../cp/cluster/control-plane.ts';
import { authority } from '../../cp/pki/authority.ts';
import { hosts, nodeOptions, proxyUrl } from '../hosts.ts';
import { NodeFixture } from '../node-fixture.ts';
import { ForwardProxyServer } from './forward-proxy-server.ts';

const credentials = { user: 'us er', password: 'p@ss:w' };
const rows = (name: string) => ({ routes: { rows: [{ id: 'r1', name }] } });

describe.each(hosts)('on %s', (host, start) => {
  let fixture: NodeFixture;
  let proxy: ForwardProxyServer;

  beforeEach(async () => {
    fixture = await NodeFixture.create(start);
  });
  afterEach(async () => {
    await fixture.remove();
    proxy?.stop();
  });

  test('reaches control planes through a forward proxy, over both forms of the link, and no other way', async () => {
    const { controlPlane } = fixture;
    const pair = await generateClusterCertificate();
    proxy = await ForwardProxyServer.start(pair);
    const forwardProxy: ForwardProxy = {
      host: '127.0.0.1',
      port: proxy.port,
      credentials,
      tls: { verify: false, trust: null },
    };
    await controlPlane.publish(rows('one'));
    // Only the proxy knows the name.
    const controlPlanes = [{ host: 'control-plane.test', port: controlPlane.port }];
    if (host === 'node') {
      controlPlane.upgrades = false;
      await fixture.start({ controlPlanes, forwardProxy });
      await controlPlane.heard('applied', ({ serial }) => serial === 1);
      await fixture.stop();
      controlPlane.upgrades = true;
    }
    await fixture.start({ controlPlanes, forwardProxy });
    await controlPlane.heard('applied', () => true, controlPlane.messages.length);
    expect(await fixture.routes()).toEqual(['one']);
    expect(controlPlane.clients).toContain('kong_clustering');
    expect(new Set(proxy.asked)).toEqual(new Set([`control-plane.test:${controlPlane.port}`]));
    expect(Buffer.concat(proxy.passed).includes('/v1/')).toBe(false);
    await fixture.stop();

    // Cut off there, it serves on and does not go around it.
    proxy.refusal = '403 Forbidden';
    const from = controlPlane.messages.length;
    await fixture.start({ controlPlanes, forwardProxy });
    expect(await fixture.routes()).toEqual(['one']);
    if (host !== 'Miniflare') {
      await expect.poll(() => fixture.log.join('\n')).toContain('it answers 403 when asked for control-plane.test:');
    }
    expect(controlPlane.messages.length).toBe(from);
  });

  // On Miniflare the proxy is that of the start.
  test.runIf(host !== 'Miniflare')(
    'tells of requests through it, and takes another endpoint and proxy by a reload',
    async () => {
      const kept: AgedBatch[] = [];
      const plane = await startControlPlane({
        version: packageFile.version,
        telemetry: { keep: async (batches) => void kept.push(...batches) },
      });
      onTestFinished(plane.stop);
      proxy = await ForwardProxyServer.start(null);
      const root = await authority('of proxies');
      const second = await ForwardProxyServer.start(await root.leaf({ name: 'localhost', usages: ['serverAuth'] }));
      onTestFinished(() => second.stop());
      const through = ({ port }: ForwardProxyServer, tls: ForwardProxy['tls']): ForwardProxy => ({
        host: '127.0.0.1',
        port,
        credentials,
        tls,
      });
      const options = nodeOptions(fixture.prefix, null, {
        controlPlanes: [{ host: 'control-plane.test', port: plane.port }],
        clusterTls: { ...shared, ca: shared.cert, serverName: 'kong_clustering' },
        trustedKeys: { cluster: signingKey.cluster, keys: [signingKey.publicKey] },
        forwardProxy: through(proxy, null),
      });
      const node = await start(options);
      onTestFinished(() => node.stop(0));
      await expect.poll(() => plane.registry.records.get(node.nodeId)?.sync_status, { timeout: 60_000 }).toBe('normal');

      const telemetryPort = plane.listener.telemetryAddresses[0]?.port ?? 0;
      // At the first nobody listens.
      const endpoints = [
        { host: 'nobody.test', port: 1 },
        { host: 'telemetry.test', port: telemetryPort },
      ];
      await node.reload({
        ...options,
        telemetry: { endpoints, serverName: 'kong_clustering' },
        // Its certificate is looked at, and good.
        forwardProxy: {
          ...through(second, { verify: true, trust: { publicCas: false, certificates: [root.pem] } }),
          host: 'localhost',
        },
      });
      const before = proxy.asked.length;
      for (let times = 0; times < 20; times++) await (await fetch(proxyUrl(node, '/nowhere'))).arrayBuffer();
      const told = () =>
        kept
          .flatMap(({ batch }) => batch.series.filter(({ dimension }) => dimension === 'route'))
          .reduce((sum, { request }) => sum + request.buckets.reduce((all, count) => all + count, 0), 0);
      await expect.poll(told, { timeout: 60_000 }).toBeGreaterThanOrEqual(20);
      expect(new Set(second.asked)).toEqual(
        new Set([`control-plane.test:${plane.port}`, 'nobody.test:1', `telemetry.test:${telemetryPort}`]),
      );
      expect(proxy.asked.length).toBe(before);
      expect(Buffer.concat(proxy.passed).includes('/v1/')).toBe(false);
    },
  );

  test.runIf(host === 'node')('says what is wrong with the proxy', async () => {
    const pair = await generateClusterCertificate();
    proxy = await ForwardProxyServer.start(pair);
    const https = { verify: true, trust: { publicCas: true, certificates: [] } };
    const wrong: readonly (readonly [ForwardProxy, string])[] = [
      [{ host: '127.0.0.1', port: proxy.port, credentials, tls: https }, 'cannot be reached: self-signed certificate'],
      [{ host: '127.0.0.1', port: 1, tls: null }, 'cannot be reached: connect ECONNREFUSED'],
      [
        { host: '127.0.0.1', port: proxy.port, tls: { verify: false, trust: null } },
        'it does not take the user and password of proxy_server',
      ],
      [{ host: '127.0.0.1', port: proxy.port, tls: null }, 'it closes the connection'],
    ];
    for (const [forwardProxy, words] of wrong) {
      await fixture.start({ forwardProxy });
      await expect.poll(() => fixture.log.join('\n')).toContain(words);
      await fixture.stop();
    }
    expect(fixture.log.join('\n')).not.toContain(credentials.password);
  });
});
