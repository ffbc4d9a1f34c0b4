import { afterEach, describe, expect, test } from 'vitest';
import { NodeSession, type SessionContext } from '../../../cp/cluster/session.ts';
import { until } from '../../until.ts';
import { hello, NODE_ID, startControlPlane, TestLink } from './control-plane.ts';

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
  link.socket.on('error', () => undefined);
  closers.push(() => link.socket.terminate());
  return link;
}

/** A data plane with the right certificate that was taken over: the control plane goes on, for it and for all others. */
describe('a hostile data plane', () => {
  const greeting = (changes: Record<string, unknown>) => ({ ...hello(), node: { ...hello().node, ...changes } });
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`name-${n}`, '1']));

  test.each<[string, string | Buffer, string]>([
    ['garbage', '{"type":"hello"', 'message is not JSON'],
    ['a binary frame', Buffer.from([1, 2, 3]), 'expected a text frame'],
    ['deep nesting', `${'['.repeat(1_000_000)}`, 'message is not JSON'],
    ['no hello', '{"type":"heartbeat","serial":1,"config_hash":null}', 'expected the hello first'],
    ['a long name', JSON.stringify(greeting({ hostname: 'x'.repeat(300) })), 'hostname: longer than 253'],
    ['a terminal’s commands', JSON.stringify(greeting({ hostname: 'a\u001b[2Jb' })), 'not printable'],
    ['what PostgreSQL cannot keep', JSON.stringify(greeting({ hostname: 'a\u0000b' })), 'not printable'],
    ['half a surrogate pair', JSON.stringify(greeting({ labels: { a: '\ud800' } })), 'not printable'],
    ['what makes a long reason', JSON.stringify(greeting({ host: '中'.repeat(60) })), 'hello.node.host: expected'],
    ['too many labels', JSON.stringify(greeting({ labels: many(1001) })), 'labels: more than 1000'],
    ['a long label', JSON.stringify(greeting({ labels: { ['x'.repeat(300)]: 'y' } })), 'labels: a key: longer'],
    ['too many capabilities', JSON.stringify(greeting({ capabilities: Object.keys(many(1001)) })), 'more than 1000'],
  ])('is cut off for %s, with the reason in the log', async (_, message, reason) => {
    const plane = await start();
    const link = await open(plane.port);
    link.socket.send(message);
    expect(await link.closed()).toBe(4400);
    expect(plane.log).toContainEqual(expect.stringContaining(reason));
    expect(plane.registry.records.size).toBe(0);
  });

  test('is cut off at the head of a frame of 1 GB', async () => {
    const plane = await start();
    const link = await open(plane.port);
    // FIN and text, masked, with a 64-bit length: RFC 6455, 5.2.
    const head = Buffer.alloc(14);
    head.set([0x81, 0xff]);
    head.writeBigUInt64BE(1n << 30n, 2);
    const raw = Reflect.get(link.socket, '_socket');
    raw.write(head);
    expect(await link.closed()).toBe(1009);
  });

  test('is cut off when it says more than anyone has to say', async () => {
    const plane = await start();
    const link = await open(plane.port);
    link.say(hello());
    await link.hear('manifest');
    const closed = link.closed();
    for (let n = 0; n < 4_000; n++) link.say({ type: 'rejected', serial: n, reason: `reason ${n}` });
    expect(await closed).toBe(4429);
    expect(plane.log.length).toBeLessThan(3_100);
    await until(() => plane.listener.nodes.get(NODE_ID) === undefined);
  });

  test('is cut off when it does not read, before what it does not read fills the memory', async () => {
    const plane = await start();
    const link = await open(plane.port);
    link.say(hello());
    await link.hear('manifest');
    link.socket.pause();
    const target = 'x'.repeat(1 << 16);
    for (let n = 0; n < 400 && plane.listener.nodes.get(NODE_ID) !== undefined; n++) {
      plane.listener.setTargetHealth({ upstream: 'u', target, address: null, healthy: true });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => plane.log.join()).toContain('does not read what it is sent');
    await until(() => plane.listener.nodes.get(NODE_ID) === undefined);
  });

  test('has what it says shown as text, without what a terminal or the database would choke on', async () => {
    const plane = await start();
    const link = await open(plane.port);
    const script = '<script>alert(1)</script>';
    link.say(hello({ hostname: script, labels: { [script]: script } }));
    await link.hear('manifest');
    link.socket.send(JSON.stringify({ type: 'rejected', serial: 1, reason: `a\u0000b\u001b[2J\nc${'\ud800'}` }));
    await until(() => plane.listener.nodes.get(NODE_ID)?.record.reason !== null);
    expect(plane.listener.nodes.get(NODE_ID)?.record).toMatchObject({
      hostname: script,
      labels: { [script]: script },
      reason: 'a b [2J c\ufffd',
    });
  });

  test('that claims to be ever other nodes is refused before they fill the memory, and nodes that are there stay', async () => {
    const plane = await start();
    const link = await open(plane.port);
    link.say(hello());
    await link.hear('manifest');
    const context: SessionContext = {
      publisher: plane.publisher,
      version: '1.2.0',
      log: () => undefined,
      absentPlugins: () => [],
      answered: () => undefined,
      changed: () => undefined,
    };
    const peer = { ip: '127.0.0.1', port: 1, subject: '', certificateKey: null, certificateExpires: 4e9 };
    const keys = { node: null, certificate: null };
    for (let n = 1; n < 10_000; n++) {
      plane.listener.nodes.join(await NodeSession.begin(hello({ id: crypto.randomUUID() }), peer, keys, context));
    }
    const another = await open(plane.port);
    another.say(hello({ id: crypto.randomUUID() }));
    expect(await another.closed()).toBe(4400);
    const again = await open(plane.port);
    again.say(hello());
    await again.hear('manifest');
  });
});
