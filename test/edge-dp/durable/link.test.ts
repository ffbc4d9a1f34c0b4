import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateSigningKey } from '../../../shared/bundle/signing.ts';
import { hosts } from '../hosts.ts';
import { NodeFixture } from '../node-fixture.ts';

describe.each(hosts)('on %s', (_, start) => {
  let fixture: NodeFixture;

  beforeEach(async () => {
    fixture = await NodeFixture.create(start);
  });
  afterEach(() => fixture.remove());

  test('says who it is, over a connection with a client certificate', async () => {
    await fixture.start({ labels: { region: 'eu' } });
    const { node, manifest } = await fixture.controlPlane.heard('hello');
    expect(manifest).toBeNull();
    expect(node).toMatchObject({
      id: fixture.node.nodeId,
      hostname: 'node.test',
      group: 'default',
      labels: { region: 'eu' },
      plugins: { 'key-auth': '3.9.3' },
    });
    expect(fixture.controlPlane.clients).toEqual(['kong_clustering']);
  });

  test('goes to another control plane when the first is gone', async () => {
    const { controlPlane } = fixture;
    const gone = { host: '127.0.0.1', port: 1 };
    await controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'one' }] } });
    await fixture.start({ controlPlanes: [gone, { host: '127.0.0.1', port: controlPlane.port }, gone] });
    await controlPlane.heard('applied');
    expect(await fixture.routes()).toEqual(['one']);
  });

  test('takes the plain HTTPS form when upgrades do not get through', async () => {
    const { controlPlane } = fixture;
    controlPlane.upgrades = false;
    await controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'one' }] } });
    await fixture.start();
    await controlPlane.heard('hello');
    await controlPlane.heard('applied', ({ serial }) => serial === 1);
    await controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'two' }] } });
    await controlPlane.heard('applied', ({ serial }) => serial === 2);
    expect(await fixture.routes()).toEqual(['two']);
    controlPlane.push('garbage');
    expect((await controlPlane.heard('rejected')).reason).toMatch(/not a compact JWS/);
  });

  test('follows a rotation of the signing key, and still trusts it after a restart without a control plane', async () => {
    const { controlPlane } = fixture;
    const { key: next } = await generateSigningKey(controlPlane.signingKey.cluster);
    await fixture.start();
    const keys = [controlPlane.signingKey.publicKey, next.publicKey];
    await controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'introduced' }] } }, { keys });
    await controlPlane.heard('applied', ({ serial }) => serial === 1);
    await controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'rotated' }] } }, { keys: [next.publicKey] }, next);
    await controlPlane.heard('applied', ({ serial }) => serial === 2);
    await controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'again' }] } }, { keys: [next.publicKey] }, next);
    await controlPlane.heard('applied', ({ serial }) => serial === 3);
    await fixture.stop();
    await controlPlane.stop();
    await fixture.start();
    expect(await fixture.routes()).toEqual(['again']);
  });
});
