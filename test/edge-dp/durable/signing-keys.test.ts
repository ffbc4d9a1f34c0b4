import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type KeyStatement, signStatement, without } from '../../../shared/bundle/key-statement.ts';
import { generateSigningKey, type SigningKey } from '../../../shared/bundle/signing.ts';
import { hosts } from '../hosts.ts';
import { NodeFixture } from '../node-fixture.ts';
import { alterCache, snapshotCache } from '../resting-cache.ts';

const rows = (name: string) => ({ routes: { rows: [{ id: 'r1', name }] } });

describe.each(hosts)('on %s', (host, start) => {
  let fixture: NodeFixture;
  let first: SigningKey;
  let statements: string[];
  let last: KeyStatement | null;

  beforeEach(async () => {
    fixture = await NodeFixture.create(start);
    first = fixture.controlPlane.signingKey;
    statements = [];
    last = null;
  });
  afterEach(() => fixture.remove());

  /** What a control plane would say next; told from the next manifest on. */
  async function say(by: SigningKey, change: Partial<KeyStatement>): Promise<void> {
    last = {
      cluster: first.cluster,
      number: (last?.number ?? 0) + 1,
      issued_at: Math.floor(Date.now() / 1000),
      serial: fixture.controlPlane.serial,
      signing: by.publicKey.kid,
      keys: last?.keys ?? [first.publicKey],
      revoked: last?.revoked ?? [],
      ...change,
    };
    statements.push(await signStatement(last, by));
    fixture.controlPlane.keys = [...statements];
  }

  async function rotate(by: SigningKey): Promise<SigningKey> {
    const { key } = await generateSigningKey(first.cluster);
    await say(by, { signing: key.publicKey.kid, keys: [...(last?.keys ?? [first.publicKey]), key.publicKey] });
    return key;
  }

  async function revoke(by: SigningKey, key: SigningKey): Promise<void> {
    const revoked = [...(last?.revoked ?? []), key.publicKey];
    await say(by, { revoked, keys: without(last?.keys ?? [], revoked) });
  }

  const publish = (name: string, key: SigningKey, serial?: number) =>
    fixture.controlPlane.publish(rows(name), { keys: [key.publicKey], ...(serial !== undefined && { serial }) }, key);

  // What is followed is the same everywhere; what is kept of it is the host's.
  test.runIf(host === 'node')(
    'follows keys from the one it was given, also two changes in a row, and not back',
    async () => {
      const { controlPlane } = fixture;
      // Told of nothing until now: it was away, or is new.
      const second = await rotate(first);
      const third = await rotate(second);
      await revoke(third, first);
      await publish('third', third);
      await fixture.start();
      await controlPlane.heard('applied', ({ serial }) => serial === 1);
      expect(await fixture.routes()).toEqual(['third']);

      // An old statement, played again, with what its key signed: not followed.
      let from = controlPlane.messages.length;
      controlPlane.keys = statements.slice(0, 1);
      await publish('by the first', first);
      const { reason } = await controlPlane.heard('rejected', () => true, from);
      expect(reason).toBe(`manifest: signed by key ${first.publicKey.kid}, which was revoked`);

      // Whom nobody introduced, and whoever was revoked, introduces nobody.
      const { key: stranger } = await generateSigningKey(first.cluster);
      for (const by of [stranger, first]) {
        const said = {
          ...(last ?? expect.fail()),
          number: 99,
          keys: [stranger.publicKey],
          signing: stranger.publicKey.kid,
        };
        controlPlane.keys = [...statements, await signStatement(said, by)];
        from = controlPlane.messages.length;
        await publish('by a stranger', stranger);
        expect((await controlPlane.heard('rejected', () => true, from)).reason).toContain('none of the trusted keys');
      }
      await expect
        .poll(() => fixture.log.join('\n'))
        .toContain('signing keys: passed over, statement of keys: signed by key');

      // Without a control plane, and the revocation stays known.
      controlPlane.keys = statements;
      await publish('fourth', second);
      await controlPlane.heard('applied', ({ serial }) => serial === controlPlane.serial);
      await fixture.stop();
      await controlPlane.stop();
      await fixture.start();
      expect(await fixture.routes()).toEqual(['fourth']);
    },
  );

  test('serves nothing of a stolen key once it was revoked, neither from its cache nor by a higher serial', async () => {
    const { controlPlane } = fixture;
    await publish('honest', first);
    await fixture.start();
    await controlPlane.heard('applied', ({ serial }) => serial === 1);
    // The thief poses as a control plane.
    const forged = await publish('stolen', first, 1_000_000);
    await controlPlane.heard('applied', ({ serial }) => serial === 1_000_000);
    await fixture.stop();
    const forgedCache = await snapshotCache(fixture.prefix);

    controlPlane.serial = 1;
    const second = await rotate(first);
    await revoke(second, first);
    controlPlane.keys = statements;
    let from = controlPlane.messages.length;
    await publish('honest again', second, 2);
    await fixture.start();
    await controlPlane.heard('applied', ({ serial }) => serial === 2, from);
    await expect.poll(() => fixture.routes()).toEqual(['honest again']);
    await fixture.stop();

    // Its cache is put back to the forged one, by whoever can write there.
    await forgedCache();
    await controlPlane.stop();
    await fixture.start();
    expect(await fixture.routes()).not.toEqual(['stolen']);
    await expect
      .poll(() => fixture.log.join('\n'))
      .toContain(`cache: manifest: signed by key ${first.publicKey.kid}, which was revoked`);
    await fixture.stop();
    expect(await alterCache(fixture.prefix, (key) => (key === 'manifest' ? Buffer.from(forged) : null))).toEqual([
      'manifest',
    ]);
    await controlPlane.start();
    from = controlPlane.messages.length;
    await fixture.start();
    await controlPlane.heard('applied', ({ serial }) => serial === 2, from);
    await expect.poll(() => fixture.routes()).toEqual(['honest again']);
  });

  test.runIf(host === 'node')(
    'config that was applied before its key was revoked serves on until there is other config',
    async () => {
      const { controlPlane } = fixture;
      await publish('before', first);
      await fixture.start();
      await controlPlane.heard('applied', ({ serial }) => serial === 1);
      const second = await rotate(first);
      await revoke(second, first);
      const hello = await controlPlane.heard('hello');
      const order = JSON.parse(
        await controlPlane.order({ type: 'withheld', sync_status: 'unknown', reason: 'for a test' }, hello, {
          key: second,
        }),
      );
      controlPlane.say(JSON.stringify({ ...order, keys: statements }));
      await expect.poll(() => fixture.log.join('\n')).toContain('withholds config from this node: for a test');
      await expect.poll(() => fixture.log.join('\n')).toContain(`${first.publicKey.kid} is revoked`);
      await fixture.stop();
      await controlPlane.stop();
      await fixture.start();
      expect(await fixture.routes()).toEqual(['before']);
    },
  );
});
