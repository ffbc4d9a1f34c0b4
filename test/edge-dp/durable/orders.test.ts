import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { generateSigningKey } from '../../../shared/bundle/signing.ts';
import type { Hello, Order } from '../../../shared/cluster/messages.ts';
import type { ControlPlane } from '../control-plane.ts';
import { hosts, statusUrl } from '../hosts.ts';
import { NodeFixture } from '../node-fixture.ts';

const CONFIG = { routes: { rows: [{ id: 'r1', name: 'good' }] } };

/** An order that shows by an answer whether it was obeyed. */
const question = (id: string): Order => ({ type: 'explain', id, request: { path: 'nowhere' } });

function answers(controlPlane: ControlPlane): string[] {
  return controlPlane.messages.flatMap((message) => (message.type === 'explained' ? [message.id] : []));
}

/** Whoever holds the pair of certificates, which in `shared` is every data plane, but not the bundle signing key. */
describe.each(hosts)('on %s, orders of a control plane', (_, start) => {
  let fixture: NodeFixture;
  beforeEach(async () => {
    fixture = await NodeFixture.create(start);
  });
  afterEach(() => fixture.remove());

  /** What was told of orders that were refused. */
  const refusals = () => fixture.log.filter((line) => line.includes('refused an order of the control plane'));

  async function greeted(from = 0): Promise<Hello> {
    const hello = await fixture.controlPlane.heard('hello', () => true, from);
    await fixture.controlPlane.heard('applied', () => true, from);
    return hello;
  }

  test.each([
    ['over the WebSocket', true],
    ['to a node that polls', false],
  ])('are obeyed when the signing key has signed them for this node and connection, %s', async (_form, upgrades) => {
    const { controlPlane } = fixture;
    controlPlane.upgrades = upgrades;
    await controlPlane.publish(CONFIG);
    await fixture.start();
    const hello = await greeted();

    const { key: foreign } = await generateSigningKey(controlPlane.signingKey.cluster);
    const forged: [order: Order, changes: Parameters<ControlPlane['tell']>[1], told: string][] = [
      [question('foreign key'), { key: foreign }, 'none of the trusted keys'],
      [
        question('borrowed name'),
        { key: { ...controlPlane.signingKey, privateKey: foreign.privateKey } },
        'not verify',
      ],
      [question('another cluster'), { cluster: crypto.randomUUID() }, 'belongs to cluster'],
      [question('another node'), { node: crypto.randomUUID() }, 'but this node is'],
      [question('another connection'), { nonce: crypto.randomUUID() }, 'for another connection'],
      [question('held back'), { issued_at: Math.floor(Date.now() / 1000) - 400 }, 'seconds ago'],
      [question('of tomorrow'), { issued_at: Math.floor(Date.now() / 1000) + 86_400 }, 'seconds from now'],
    ];
    const from = fixture.log.length;
    for (const unsigned of [
      question('unsigned'),
      { type: 'withheld', sync_status: 'unknown', reason: 'obey me' },
      { type: 'target_health', upstream: 'u', target: 't', address: null, healthy: false },
    ] satisfies Order[]) {
      controlPlane.say(JSON.stringify(unsigned));
      controlPlane.say(JSON.stringify(unsigned));
    }
    for (const [order, changes] of [...forged, ...forged]) await controlPlane.tell(order, changes);
    const replayed = await controlPlane.order(question('true'), hello, { counter: 1_000_000 });
    controlPlane.say(replayed);
    controlPlane.say(replayed);
    await controlPlane.tell(question('before that'), { counter: 999_999 });
    await controlPlane.tell(question('last'), { counter: 1_000_001 });

    await controlPlane.heard('explained', ({ id }) => id === 'last');
    expect(answers(controlPlane)).toEqual(['true', 'last']);
    expect(fixture.log.slice(from).filter((line) => line.includes('obey me'))).toEqual([]);
    const told = [...forged.map(([, , reason]) => reason), 'is not signed', 'was obeyed already'];
    const times = () => told.map((reason) => refusals().filter((line) => line.includes(reason)).length);
    await expect.poll(times).toEqual(told.map(() => 1));
    const metrics = await (await fetch(statusUrl(fixture.node, '/metrics'))).text();
    // Every one of them, however often it was told.
    expect(metrics).toContain('\nholdfast_orders_refused_total 22\n');
  });

  test('are worth nothing on a later connection, where its own are obeyed, whatever their numbers', async () => {
    const { controlPlane } = fixture;
    await controlPlane.publish(CONFIG);
    await fixture.start();
    const recorded = await controlPlane.order(question('recorded'), await greeted(), { counter: 1_000_000 });
    controlPlane.say(recorded);
    await controlPlane.heard('explained', ({ id }) => id === 'recorded');

    await controlPlane.stop();
    const from = controlPlane.messages.length;
    await controlPlane.start();
    await greeted(from);
    controlPlane.say(recorded);
    await controlPlane.tell(question('after a restart'));
    await controlPlane.heard('explained', ({ id }) => id === 'after a restart');
    expect(answers(controlPlane)).toEqual(['recorded', 'after a restart']);
    await expect.poll(() => refusals().join()).toContain('for another connection');
  });

  test('are obeyed of every control plane of the cluster, also before there is any config', async () => {
    const { controlPlane } = fixture;
    const other = controlPlane.sibling();
    await other.start();
    onTestFinished(() => other.stop());
    const place = ({ port }: ControlPlane) => ({ host: '127.0.0.1', port });
    await fixture.start({ controlPlanes: [place(controlPlane), place(other)] });
    const [first, second] = await Promise.race([
      controlPlane.heard('hello').then(() => [controlPlane, other] as const),
      other.heard('hello').then(() => [other, controlPlane] as const),
    ]);
    await first.tell(question('one'), { counter: 1_000_000 });
    await first.heard('explained', ({ id }) => id === 'one');
    await first.stop();
    await second.heard('hello');
    await second.tell(question('two'));
    await second.heard('explained', ({ id }) => id === 'two');
    expect(refusals()).toEqual([]);
  });

  test('say which group the node is of, whose config it takes and no other, also when it starts again', async () => {
    const { controlPlane } = fixture;
    await controlPlane.publish(CONFIG);
    await fixture.start();
    await greeted();
    // Signed by the key, and for another group: whoever has that group's config could send it here.
    await controlPlane.publish(CONFIG, { group: 'eu' });
    const { reason } = await controlPlane.heard('rejected');
    expect(reason).toContain("for group 'eu', but this node is of group 'default'");
    await controlPlane.tell({ type: 'assigned', group: 'eu' });
    await controlPlane.publish(CONFIG, { group: 'eu' });
    await controlPlane.heard('applied', ({ serial }) => serial === controlPlane.serial);

    const from = controlPlane.messages.length;
    await fixture.stop();
    await fixture.start();
    expect((await controlPlane.heard('hello', () => true, from)).assignable).toBe(true);
    await controlPlane.publish(CONFIG);
    const again = await controlPlane.heard('rejected', () => true, from);
    expect(again.reason).toContain("for group 'default', but this node is of group 'eu'");
  });

  test('are missed when the control plane says it is further than what it offers, which is told once', async () => {
    const { controlPlane } = fixture;
    await controlPlane.publish(CONFIG);
    await fixture.start();
    await greeted();
    const beat = (serial: number) => controlPlane.say(JSON.stringify({ type: 'heartbeat', serial, config_hash: null }));
    for (const serial of [1, 12, 13, 14]) beat(serial);
    const keptBack = () => fixture.log.filter((line) => line.includes('keeps config from this node'));
    await expect
      .poll(keptBack)
      .toEqual([expect.stringContaining('at serial 12, but the newest it offered is serial 1')]);
    const status = async () => (await fetch(statusUrl(fixture.node, '/status'))).json();
    expect(await status()).toMatchObject({ configuration_withheld: expect.stringContaining('keeps config from') });
    await controlPlane.publish(CONFIG, { serial: 14 });
    await controlPlane.heard('applied', ({ serial }) => serial === 14);
    expect(await status()).toMatchObject({ configuration_withheld: null });
    beat(14);
    beat(15);
    await expect.poll(keptBack).toHaveLength(2);
    await controlPlane.tell({ type: 'withheld', sync_status: 'unknown', reason: 'it may' });
    await expect.poll(() => fixture.log.join()).toContain('it may');
    beat(16);
    await controlPlane.tell(question('barrier'));
    await controlPlane.heard('explained');
    expect(keptBack()).toHaveLength(2);
  });
});
