import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateSigningKey } from '../../../shared/bundle/signing.ts';
import { verifyNodeProof } from '../../../shared/cluster/node-proof.ts';
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

  test('proves with a key of its own that it is the same as ever, over both forms of the link', async () => {
    const { controlPlane } = fixture;
    const proved = async (from: number) => {
      const { node, nonce = '', proof = '' } = await controlPlane.heard('hello', () => true, from);
      const { key, challenge } = await verifyNodeProof(proof, { node: node.id, nonce });
      expect(challenge).toBe(controlPlane.challenge);
      return { key, nonce };
    };
    await controlPlane.publish({ routes: { rows: [{ id: 'r1', name: 'one' }] } });
    await fixture.start();
    const first = await proved(0);
    await controlPlane.heard('applied');
    await fixture.stop();
    let from = controlPlane.messages.length;
    controlPlane.upgrades = false;
    controlPlane.challenge = crypto.randomUUID();
    await fixture.start();
    const second = await proved(from);
    expect(second.key).toBe(first.key);
    expect(second.nonce).not.toBe(first.nonce);
    await controlPlane.heard('applied', () => true, from);
    await fixture.stop();
    // A control plane of an earlier version asks for nothing.
    from = controlPlane.messages.length;
    controlPlane.upgrades = true;
    controlPlane.challenge = null;
    await fixture.start();
    expect((await controlPlane.heard('hello', () => true, from)).proof).toBeUndefined();
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
