import { afterEach, describe, expect, test } from 'vitest';
import { generateSigningKey } from '../../../shared/bundle/signing.ts';
import type { OrderMessage } from '../../../shared/cluster/messages.ts';
import { call, hello, NODE_ID, OrderReader, signingKey, startControlPlane, TestLink } from './control-plane.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start() {
  const plane = await startControlPlane();
  closers.push(() => plane.stop());
  return plane;
}

async function open(port: number): Promise<TestLink> {
  const link = await TestLink.open(port);
  closers.push(() => link.socket.terminate());
  return link;
}

const mark = (target: string) => ({ upstream: 'u', target, address: null, healthy: false });

describe('an order', () => {
  test('is signed for one data plane and one of its connections, and numbered', async () => {
    const plane = await start();
    const greeting = hello();
    const link = await open(plane.port);
    link.say(greeting);
    await link.hear('manifest');
    for (let n = 0; n < 20; n++) void plane.listener.setTargetHealth(mark(`t${n}`));
    const messages: OrderMessage[] = [];
    while (messages.length < 20) {
      const message = await link.hearAny();
      if (message.type === 'order') messages.push(message);
    }
    const reader = new OrderReader(greeting);
    const targets: unknown[] = [];
    for (const message of messages) targets.push(await reader.read(message));
    // The reader takes no number below the last: they come in the order they were given.
    expect(targets).toMatchObject(Array.from({ length: 20 }, (_, n) => ({ type: 'target_health', target: `t${n}` })));
    const [first] = messages;
    if (first === undefined) throw new Error('no order came');
    await expect(reader.read(first)).rejects.toThrow('was obeyed already');
    await expect(new OrderReader(hello()).read(first)).rejects.toThrow('for another connection');
    const { nonce = '' } = greeting;
    const another = { ...hello({ id: crypto.randomUUID() }), nonce };
    await expect(new OrderReader(another).read(first)).rejects.toThrow('for node');
  });

  test('goes on above the numbers before when a data plane that polls greets again', async () => {
    const plane = await start();
    const greeting = hello();
    const reader = new OrderReader(greeting);
    for (const target of ['one', 'two']) {
      await call(plane.port, `/v1/status?node=${NODE_ID}`, { method: 'POST', body: JSON.stringify(greeting) });
      await plane.listener.setTargetHealth(mark(target));
      const { body } = await call(plane.port, `/v1/manifest?node=${NODE_ID}`);
      expect(await reader.read(JSON.parse(body.toString()))).toMatchObject({ target });
    }
  });

  test('is signed with the key that releases are signed with now', async () => {
    const plane = await start();
    const greeting = hello();
    const link = await open(plane.port);
    link.say(greeting);
    await link.hear('manifest');
    const { key: next } = await generateSigningKey(signingKey.cluster);
    await plane.publisher.renew({ signing: next, introduced: [] });
    await link.hear('manifest');
    await plane.listener.setTargetHealth(mark('t'));
    const message = await link.hearAny();
    if (message.type !== 'order') throw new Error(`expected an order, heard ${message.type}`);
    await expect(new OrderReader(greeting).read(message)).rejects.toThrow('none of the trusted keys');
    expect(await new OrderReader(greeting).read(message, next)).toMatchObject({ target: 't' });
  });

  test('goes unsigned to a data plane of an earlier version, which is named', async () => {
    const plane = await start();
    const { nonce: _, ...earlier } = hello({ group: 'another' });
    const link = await open(plane.port);
    link.say(earlier);
    expect(await link.hearAny()).toMatchObject({ type: 'withheld', reason: expect.stringContaining("'another'") });
    await plane.listener.setTargetHealth(mark('t'));
    expect(await link.hearAny()).toEqual({ type: 'target_health', ...mark('t') });
    expect(plane.log).toContainEqual(
      expect.stringMatching(/^warn DP node with hostname: edge-1 .* obeys orders that nobody signed: upgrade it$/),
    );
  });
});

test('a heartbeat is answered with the serial that was offered, not one that is still on its way', async () => {
  const plane = await start();
  const link = await open(plane.port);
  link.say(hello({ group: 'another' }));
  await link.hear('withheld');
  link.say({ type: 'heartbeat', serial: null, config_hash: null });
  expect(await link.hear('heartbeat')).toEqual({ type: 'heartbeat', serial: null, config_hash: null });
});
