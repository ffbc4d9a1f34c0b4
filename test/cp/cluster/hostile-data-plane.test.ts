import { afterEach, describe, expect, test, vi } from 'vitest';
import { HeldManifests } from '../../../cp/cluster/held-manifests.ts';
import { Quotas, TooMany } from '../../../cp/cluster/quotas.ts';
import { NodeSession, type SessionContext } from '../../../cp/cluster/session.ts';
import { SESSION_HEADER } from '../../../shared/cluster/node-proof.ts';
import { until } from '../../until.ts';
import { call, hello, NODE_ID, sharedClient, startControlPlane, TestLink, verify } from './control-plane.ts';
import { KnownNode } from './known-node.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(options: Parameters<typeof startControlPlane>[0] = {}) {
  const plane = await startControlPlane(options);
  closers.push(() => plane.stop());
  return plane;
}

/** What may be done in a minute is done in one, however long that takes on a busy machine. */
function holdClock(): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
  closers.push(() => vi.useRealTimers());
}

/** The certificate of all, from another address of this machine. */
const ELSEWHERE = { ...sharedClient, localAddress: '127.0.0.2' };

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
    ['deep nesting', `${'['.repeat(300_000)}`, 'message is not JSON'],
    ['no hello', '{"type":"heartbeat","serial":1,"config_hash":null}', 'expected the hello first'],
    ['a long name', JSON.stringify(greeting({ hostname: 'x'.repeat(300) })), 'hostname: longer than 253'],
    ['a terminal’s commands', JSON.stringify(greeting({ hostname: 'a\u001b[2Jb' })), 'not printable'],
    ['a word that turns the next around', JSON.stringify(greeting({ hostname: 'a\u202eb' })), 'not printable'],
    [
      'what nobody sees',
      JSON.stringify(greeting({ labels: { 'a\u200b': 'b' } })),
      'labels: key "a " must be of letters',
    ],
    ['what PostgreSQL cannot keep', JSON.stringify(greeting({ hostname: 'a\u0000b' })), 'not printable'],
    ['half a surrogate pair', JSON.stringify(greeting({ group: 'a\ud800' })), 'not printable'],
    ['what makes a long reason', JSON.stringify(greeting({ host: '中'.repeat(60) })), 'hello.node.host: expected'],
    ['too many labels', JSON.stringify(greeting({ labels: many(11) })), 'labels: count exceeded 10 max elements'],
    [
      'a long label',
      JSON.stringify(greeting({ labels: { ['x'.repeat(64)]: 'y' } })),
      'labels: a key must have between',
    ],
    ['a label with a script', JSON.stringify(greeting({ labels: { a: '<script>' } })), 'value "<script>" must be of'],
    ['a label of Kong’s own', JSON.stringify(greeting({ labels: { 'Kong-zone': 'a' } })), 'must not begin with kong'],
    ['too many capabilities', JSON.stringify(greeting({ capabilities: Object.keys(many(101)) })), 'more than 100'],
    ['too many plugins', JSON.stringify(greeting({ plugins: many(251) })), 'plugins: more than 250'],
    [
      'a long name of a plugin',
      JSON.stringify(greeting({ plugins: { ['x'.repeat(64)]: '1' } })),
      'the name of a plugin',
    ],
    ['a plugin’s terminal commands', JSON.stringify(greeting({ plugins: { 'a\u001b[2J': 5 } })), '"a\\u001b[2J"'],
    ['a version that turns around', JSON.stringify(greeting({ version: '1.\u202e0' })), 'a version, found "1. 0"'],
    ['a version that is none', JSON.stringify(greeting({ plugins: { a: 'x'.repeat(65) } })), 'expected a version'],
    ['a hello of more than 64 KB', JSON.stringify({ ...hello(), manifest: 'x'.repeat(66_000) }), 'hello: 66'],
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
    holdClock();
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
    link.say(hello({ hostname: script, capabilities: ['upstream_host', script, 'upstream_host'] }));
    await link.hear('manifest');
    link.socket.send(JSON.stringify({ type: 'rejected', serial: 1, reason: `a\u0000b\u001b[2J\nc${'\ud800'}` }));
    await until(() => plane.listener.nodes.get(NODE_ID)?.record.reason !== null);
    expect(plane.listener.nodes.get(NODE_ID)?.record).toMatchObject({
      hostname: script,
      // Those that this version knows, once.
      description: { capabilities: ['upstream_host'] },
      reason: 'a b [2J c\ufffd',
    });
  });

  test('that floods what all share is told to wait before the database is asked, and cut off when it says what is none', async () => {
    let applied = 0;
    const plane = await startControlPlane({
      records: {
        apply: async (_, changes) => {
          applied += changes.length;
          return changes.map(() => ({ outcome: 'done' }) as const);
        },
        position: async () => ({ log: NODE_ID, number: 0 }),
        after: async () => ({ after: 0, position: { log: NODE_ID, number: 0 }, records: [], more: false }),
        subscribe: () => () => undefined,
      },
    });
    closers.push(() => plane.stop());
    const link = await open(plane.port);
    link.say(hello());
    await link.hear('manifest');
    const change = { does: 'put', collection: 'c', key: 'k', value: 1, until: null } as const;
    const say = (changes: readonly unknown[]) => {
      link.socket.send(JSON.stringify({ type: 'records', id: crypto.randomUUID(), changes }));
    };
    const outcomes: unknown[] = [];
    for (let n = 0; n < 100; n++) say(Array.from({ length: 200 }, () => change));
    for (let n = 0; n < 100; n++) outcomes.push((await link.hear('records_done')).outcomes?.[0]?.outcome);
    expect(new Set(outcomes)).toEqual(new Set(['done', 'later']));
    expect(applied).toBeLessThanOrEqual(12_000);
    say([{ ...change, value: 'x'.repeat(40_000) }]);
    expect(await link.closed()).toBe(4400);
    expect(plane.log.join('\n')).toContain('records.changes[0].value: 40002 characters, of 32768');
  });

  test('that floods what all count together is not answered with counts, and cut off when it says what is none', async () => {
    let compared = 0;
    const plane = await startControlPlane({
      counts: {
        compare: async ({ counts }) => {
          compared += counts.length;
          return counts.map(() => 0);
        },
      },
    });
    closers.push(() => plane.stop());
    const link = await open(plane.port);
    link.say(hello());
    await link.hear('manifest');
    const say = (counts: readonly unknown[]) => {
      link.socket.send(JSON.stringify({ type: 'counts', id: crypto.randomUUID(), ledger: NODE_ID, counts }));
    };
    const many = Array.from({ length: 500 }, (_, n) => [String(n).padStart(22, '_'), 1, 4_000_000_000]);
    const answers: unknown[] = [];
    for (let n = 0; n < 400; n++) say(many);
    for (let n = 0; n < 400; n++) answers.push((await link.hear('counted')).others?.length ?? null);
    expect(new Set(answers)).toEqual(new Set([500, null]));
    expect(compared).toBeLessThanOrEqual(150_000);
    say([['_'.repeat(22), -1, 4_000_000_000]]);
    expect(await link.closed()).toBe(4400);
    expect(plane.log.join('\n')).toContain('counts.counts[0][1]');
  });

  test('that claims to be ever other nodes is refused before they fill the memory, and nodes that are there stay', async () => {
    const plane = await start();
    const link = await open(plane.port);
    link.say(hello());
    await link.hear('manifest');
    const context: SessionContext = {
      publisher: plane.publisher,
      held: new HeldManifests(plane.publisher, () => undefined),
      version: '1.2.0',
      log: () => undefined,
      absentPlugins: () => [],
      answered: () => undefined,
      shares: () => undefined,
      counts: () => undefined,
      changed: () => undefined,
      acknowledged: () => undefined,
      rejected: () => undefined,
      takeHealth: () => true,
    };
    const peer = { ip: '127.0.0.1', port: 1, subject: '', certificateKey: null, labels: {}, certificateExpires: 4e9 };
    const keys = { node: null, certificate: null };
    for (let n = 1; n < 10_000; n++) {
      plane.listener.nodes.join(
        await NodeSession.begin(hello({ id: crypto.randomUUID() }), peer, keys, context),
        'in a test',
      );
    }
    const another = await open(plane.port);
    another.say(hello({ id: crypto.randomUUID() }));
    expect(await another.closed()).toBe(4429);
    const again = await open(plane.port);
    again.say(hello());
    await again.hear('manifest');
  });

  test('with 300 hellos of 1.3 MB leaves nothing behind', async () => {
    const plane = await start();
    const large = () => JSON.stringify({ ...hello({ id: crypto.randomUUID() }), manifest: 'x'.repeat(1_300_000) });
    for (let n = 0; n < 300; n += 10) {
      const links = await Promise.all(Array.from({ length: 10 }, () => open(plane.port)));
      const closed = links.map((link) => link.closed());
      for (const link of links) link.socket.send(large());
      for (const code of await Promise.all(closed)) expect([1009, 1006]).toContain(code);
    }
    expect(plane.registry.records.size).toBe(0);
    expect((await call(plane.port, '/v1/status?node=x', { method: 'POST', body: large() })).status).toBe(400);
  });

  test('is cut off when it says more of its targets than 256 KB', async () => {
    const plane = await start();
    const link = await open(plane.port);
    link.say(hello());
    await link.hear('manifest');
    const beat = (characters: number) => {
      const health = { u: { t: { dns: 'A', health: 'HEALTHY', addresses: [], more: 'x'.repeat(characters) } } };
      link.say({ type: 'heartbeat', serial: 0, config_hash: null, health });
    };
    beat(255 << 10);
    await link.hear('heartbeat');
    const closed = link.closed();
    beat(258 << 10);
    expect(await closed).toBe(4400);
    expect(plane.log.join('\n')).toMatch(/heartbeat: \d+ bytes or more, of \d+ that are allowed/);
  });

  test('with ever other ids is held up after so many in a minute, and those that are known come and go', async () => {
    const plane = await start({ mostNewNodes: 20 });
    holdClock();
    const known = await KnownNode.create();
    await (await known.connect(plane.port)).hear('manifest');
    await plane.listener.nodes.flush();
    const codes: number[] = [];
    for (let n = 0; n < 30; n++) {
      const link = await open(plane.port);
      const closed = link.closed();
      link.say(hello({ id: crypto.randomUUID() }));
      codes.push(await Promise.race([link.hear('manifest').then(() => 0), closed]));
      link.socket.terminate();
    }
    expect(codes.slice(0, 19)).toEqual(Array(19).fill(0));
    expect(codes.slice(19)).toEqual(Array(11).fill(4429));
    expect(plane.log.filter((line) => line.includes('more than 20 new'))).toHaveLength(1);
    expect(plane.log.join('\n')).toContain(
      "more than 20 new data planes in a minute of 127.0.0.1 with certificate 'CN=kong_clustering'",
    );
    const id = crypto.randomUUID();
    const https = await call(plane.port, `/v1/status?node=${id}`, {
      method: 'POST',
      body: JSON.stringify(hello({ id })),
    });
    expect([https.status, https.headers['retry-after']]).toEqual([429, '60']);
    await (await known.connect(plane.port)).hear('manifest');
    expect((await known.greet(plane.port)).status).toBe(200);
    // Nor is anyone held up who comes from elsewhere with the certificate that all have.
    await (await (await KnownNode.create(undefined, ELSEWHERE)).connect(plane.port)).hear('manifest');
  });

  test('fills neither registry nor connections with ids of its own, so that others have no room', async () => {
    const plane = await start({ mostOfAddress: 3 });
    const known = await KnownNode.create();
    await (await known.connect(plane.port)).hear('manifest');
    for (let n = 0; n < 2; n++) await (await (await KnownNode.create()).connect(plane.port)).hear('manifest');
    const closed = (await (await KnownNode.create()).connect(plane.port)).closed();
    expect(await closed).toBe(4429);
    expect(plane.log.join('\n')).toContain(
      '3 data planes are known of 127.0.0.1, the most that are of one address; forget some at /clustering/data-planes',
    );
    await (await known.connect(plane.port)).hear('manifest');
    await (await (await KnownNode.create(undefined, ELSEWHERE)).connect(plane.port)).hear('manifest');
  });

  test('that comes and goes all the time has to wait', async () => {
    const plane = await start();
    holdClock();
    const node = await KnownNode.create();
    const answers: number[] = [];
    for (let n = 0; n < 245; n++) answers.push((await node.greet(plane.port)).status);
    expect(answers.slice(0, 240)).toEqual(Array(240).fill(200));
    expect(answers.slice(240)).toEqual(Array(5).fill(429));
    await (await (await KnownNode.create()).connect(plane.port)).hear('manifest');
  });

  test('is forgotten in minutes when it never had any config', async () => {
    const registry = { purgeDelay: 1_209_600 };
    const plane = await startControlPlane(registry);
    closers.push(() => plane.stop());
    const link = await open(plane.port);
    link.say(hello());
    const { serial, config_hash } = await verify((await link.hear('manifest')).manifest);
    await plane.listener.nodes.flush();
    expect(plane.registry.records.get(NODE_ID)?.ttl).toBe(300);
    link.say({ type: 'applied', serial, config_hash });
    await expect.poll(() => plane.registry.records.get(NODE_ID)?.ttl).toBe(1_209_600);
  });

  test('that polls is held to the same as one with a WebSocket', async () => {
    const plane = await start();
    holdClock();
    const node = await KnownNode.create();
    const { session } = await node.greet(plane.port);
    const large = {
      type: 'heartbeat',
      serial: null,
      config_hash: null,
      health: { more: 'x'.repeat(250 << 10) },
    } as const;
    const statuses: number[] = [];
    for (let n = 0; n < 70; n++) statuses.push((await node.say(plane.port, large, session)).status);
    expect(statuses.filter((status) => status === 204).length).toBeGreaterThan(60);
    expect(statuses.at(-1)).toBe(429);
    // Saying hello again does not begin anew.
    const { session: again } = await node.greet(plane.port);
    expect((await node.say(plane.port, large, again)).status).toBe(429);
    const flood = plane.log.filter((line) => line.includes('more than 3000 messages or 16 MB in 30 seconds'));
    expect(flood).toHaveLength(1);
  });

  test('has one question open at a time when it polls', async () => {
    const plane = await start();
    const node = await KnownNode.create();
    const { session } = await node.greet(plane.port);
    const headers = { [SESSION_HEADER]: session };
    const path = `/v1/manifest?node=${node.id}&wait=60`;
    const { etag = '' } = (await call(plane.port, path, { headers })).headers;
    const waiting = { ...headers, 'if-none-match': etag };
    const questions = [1, 2, 3].map(() => call(plane.port, path, { headers: waiting }).then(({ status }) => status));
    // Whichever comes last stays open.
    const answered: number[] = [];
    for (const question of questions) void question.then((status) => answered.push(status));
    await expect.poll(() => answered).toEqual([304, 304]);
    plane.feed.put('routes', { id: 'a', name: 'a', paths: ['/a'], service: null });
    expect((await Promise.all(questions)).toSorted()).toEqual([200, 304, 304]);
  });

  test('of whose place too much was refused is not heard there any more, but who is known is', async () => {
    const plane = await start();
    holdClock();
    const known = await KnownNode.create();
    const { session } = await known.greet(plane.port);
    const beat = { type: 'heartbeat', serial: null, config_hash: null } as const;
    const thief = await KnownNode.create(known.id);
    for (let n = 0; n < 600; n += 20) {
      await Promise.all(Array.from({ length: 20 }, () => thief.say(plane.port, beat)));
    }
    expect((await thief.say(plane.port, beat)).status).toBe(429);
    expect((await known.say(plane.port, beat, session)).status).toBe(204);
    for (let n = 0; n < 10; n++) {
      const link = await thief.connect(plane.port);
      expect(await link.closed()).toBe(4423);
      const garbage = await open(plane.port);
      garbage.socket.send('garbage');
      expect(await garbage.closed()).toBe(4400);
    }
    await (await known.connect(plane.port)).hear('manifest');
    expect(plane.log.filter((line) => line.includes('600 things of 127.0.0.1'))).toHaveLength(1);
    expect(plane.log.length).toBeLessThan(20);
  });

  test('that opens connections and says nothing is refused more of them', async () => {
    const place = {
      ip: '10.0.0.1',
      port: 1,
      subject: 'CN=edge',
      certificateKey: null,
      labels: {},
      certificateExpires: 0,
    };
    const quotas = new Quotas(() => undefined);
    const opened = Array.from({ length: 256 }, () => quotas.open(place));
    expect(() => quotas.open(place)).toThrow('more than 256 connections');
    quotas.open({ ...place, ip: '10.0.0.2' });
    opened[0]?.();
    quotas.open(place);
    expect(() => quotas.open(place)).toThrow(TooMany);

    // Of IPv6 one client has all addresses of a network.
    const inside = (n: number) => ({ ...place, ip: `2001:db8:0:1:${n.toString(16)}::1` });
    for (let n = 0; n < 256; n++) quotas.open(inside(n));
    expect(() => quotas.open(inside(256))).toThrow(TooMany);
    quotas.open({ ...place, ip: '2001:db8:0:2::1' });
    const few = new Quotas(() => undefined, 2);
    few.newNode(inside(1));
    few.newNode(inside(2));
    expect(() => few.newNode(inside(3))).toThrow('more than 2 new data planes in a minute of 2001:db8:0:1::/64 with');

    // One that can wait takes the place of the next that is done, in the order they came; elsewhere nobody waits.
    const turns: number[] = [];
    const [first, second] = [1, 2].map((n) => quotas.turn(place).then((done) => [turns.push(n), done] as const));
    await quotas.turn({ ...place, ip: '10.0.0.3' });
    opened[1]?.();
    await first;
    expect(turns).toEqual([1]);
    opened[2]?.();
    const [, done] = (await second) ?? expect.fail('no turn');
    expect(turns).toEqual([1, 2]);
    done();
    quotas.open(place);

    // So many real ones would take longer on a busy machine than each may stay.
    const plane = await start();
    const full = vi.spyOn(Quotas.prototype, 'turn').mockRejectedValue(new TooMany('full'));
    closers.push(() => full.mockRestore());
    await expect(TestLink.open(plane.port)).rejects.toThrow('429');
  });
});
