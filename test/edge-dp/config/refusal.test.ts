import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DataPlane } from '../../../edge-dp/hosts/options.ts';
import { generateSigningKey } from '../../../shared/bundle/signing.ts';
import { ControlPlane, type TestConfig } from '../control-plane.ts';
import { hosts, nodeOptions, proxyUrl, SHOWING_WORKER } from '../hosts.ts';

const GOOD: TestConfig = { routes: { rows: [{ id: 'r1', name: 'good' }] } };
const NEXT: TestConfig = { routes: { rows: [{ id: 'r1', name: 'next' }] } };

async function names(node: DataPlane): Promise<unknown> {
  const response = await fetch(proxyUrl(node, '/rows/routes'));
  if (response.status !== 200) return response.status;
  const rows = (await response.json()) as { name: string }[];
  return rows.map(({ name }) => name);
}

describe.each(hosts)('on %s', (_, start) => {
  let prefix: string;
  let cp: ControlPlane;
  let node: DataPlane;

  beforeEach(async () => {
    prefix = await mkdtemp(join(tmpdir(), 'holdfast node '));
    cp = await ControlPlane.create();
    await cp.start();
    node = await start(nodeOptions(prefix, cp), SHOWING_WORKER);
  });

  afterEach(async () => {
    await node.stop();
    await cp.stop();
    await rm(prefix, { recursive: true, force: true });
  });

  test('refuses what is tampered with, replayed or foreign, tells why, and serves the last good config', async () => {
    const good = await cp.publish(GOOD);
    await cp.heard('applied', ({ serial }) => serial === 1);
    expect(cp.clients).toEqual(['kong_clustering']);

    const refused = async (reason: RegExp, act: () => unknown): Promise<void> => {
      const from = cp.messages.length;
      await act();
      const { reason: told } = await cp.heard('rejected', () => true, from);
      expect(told).toMatch(reason);
      expect(await names(node)).toEqual(['good']);
    };

    await refused(/not a compact JWS/, () => cp.push('garbage'));
    const [header = '', payload = '', signature = ''] = (await cp.publish(NEXT, { group: 'x' })).split('.');
    await cp.heard('rejected', ({ reason }) => reason.includes("for group 'x'"));
    const altered = Buffer.from(payload, 'base64url').toString().replace('"group":"x"', '"group":"y"');
    await refused(/signature does not verify/, () =>
      cp.push(`${header}.${Buffer.from(altered).toString('base64url')}.${signature}`),
    );
    await refused(/of cluster/, () => cp.publish(NEXT, { cluster: crypto.randomUUID() }));
    const stranger = await generateSigningKey();
    await refused(/none of the trusted keys/, () => cp.publish(NEXT, {}, stranger.key));
    await refused(/expired at/, () => cp.publish(NEXT, { expires_at: 1 }));
    await refused(/plugin 'nobody-has-it' is configured/, () =>
      cp.publish(NEXT, { plugins: { 'nobody-has-it': '1.0.0' } }),
    );
    // The node has key-auth 3.9.3: a control plane may be newer in the minor version, as in Kong, and nothing else.
    await refused(/plugin 'key-auth' is configured for version 3\.8\.0, but this data plane has version 3\.9\.3/, () =>
      cp.publish(NEXT, { plugins: { 'key-auth': '3.8.0' } }),
    );
    await refused(/configured for version 4\.9\.3/, () => cp.publish(NEXT, { plugins: { 'key-auth': '4.9.3' } }));
    await cp.publish(GOOD, { plugins: { 'key-auth': '3.10.0' } });
    const { serial: taken } = cp;
    await cp.heard('applied', ({ serial }) => serial === taken);
    await refused(/routes r1: does not compile/, () =>
      cp.publish({ routes: { rows: [{ id: 'r1', name: 'does-not-compile' }] } }),
    );

    await cp.publish(GOOD, { serial: 50 });
    await cp.heard('applied', ({ serial }) => serial === 50);
    await refused(/serial 1 is older than serial 50/, () => cp.push(good));
  });

  test.each([
    ['tampered', (gzip: Uint8Array) => gzip.with(12, (gzip[12] ?? 0) ^ 1), /gzip|SHA-256/],
    ['truncated', (gzip: Uint8Array) => gzip.subarray(0, gzip.length - 9), /gzip/],
  ])('refuses a %s object, keeps the last config, and takes the whole one later', async (_how, damage, reason) => {
    await cp.publish(GOOD);
    await cp.heard('applied');
    const from = cp.messages.length;
    cp.deliver = (_name, gzip) => damage(gzip);
    await cp.publish(NEXT);
    const rejected = await cp.heard('rejected', ({ serial }) => serial === 2, from);
    expect(rejected.reason).toMatch(reason);
    expect(await names(node)).toEqual(['good']);

    cp.deliver = (_name, gzip) => gzip;
    await cp.heard('applied', ({ serial }) => serial === 2);
    expect(await names(node)).toEqual(['next']);
  });
});
