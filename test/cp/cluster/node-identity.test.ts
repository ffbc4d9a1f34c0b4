import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ClusterListener } from '../../../cp/cluster/listener.ts';
import { clusterView } from '../../../cp/cluster/view.ts';
import { loadClusterTls } from '../../../cp/pki/cluster-tls.ts';
import { openStore } from '../../../cp/store/open.ts';
import type { Store } from '../../../cp/store/store.ts';
import { freshPrefix } from '../../embedded-database.ts';
import { authority } from '../pki/authority.ts';
import { type ClientTls, call, controlPlaneOver, hello, sharedClient, TestLink, verify } from './control-plane.ts';
import { KnownNode } from './known-node.ts';

const prefix = await freshPrefix('migrated');
let store: Store;
beforeAll(async () => {
  store = await openStore({ database: 'embedded', prefix });
});
afterAll(async () => {
  await store.close();
  rmSync(prefix, { recursive: true });
});

async function controlPlane(options: Parameters<typeof controlPlaneOver>[1] = {}, over: Store = store) {
  const log: string[] = [];
  const write = (level: string, message: string) => void log.push(`${level} ${message}`);
  const plane = await controlPlaneOver(over, { ...options, log: write });
  onTestFinished(plane.stop);
  const telemetryPort = plane.listener.telemetryAddresses[0]?.port ?? 0;
  return { ...plane, log, telemetryPort, view: clusterView(store.nodes, plane.listener) };
}

/** Connects and waits until its config comes, or the link ends: with the close code then. */
async function tried(node: KnownNode, port: number): Promise<TestLink | number> {
  const link = await TestLink.open(port, node.tls);
  onTestFinished(() => link.socket.terminate());
  const closed = link.closed();
  link.say(await node.hello(link.challenge));
  return Promise.race([link.hear('manifest').then(() => link), closed]);
}

async function connected(node: KnownNode, port: number): Promise<TestLink> {
  const link = await tried(node, port);
  return typeof link === 'number' ? expect.fail(`the link was closed with ${link}`) : link;
}

const TAKEN = 4423;

describe('the id of a data plane', () => {
  test('belongs to the key that proved it first: another one is refused, and named in the log and at the registry', async () => {
    const plane = await controlPlane();
    const node = await KnownNode.create();
    const first = await connected(node, plane.port);
    const thief = await KnownNode.create(node.id);
    expect(await tried(thief, plane.port)).toBe(TAKEN);
    expect(await tried(thief, plane.port)).toBe(TAKEN);
    expect(plane.log.filter((line) => line.includes(`it says it is data plane ${node.id}`))).toEqual([
      expect.stringMatching(/^warn refused 127\.0\.0\.1:\d+ \(hostname 'edge-1', certificate 'CN=kong_clustering'\)/),
    ]);
    const claim = { at: expect.any(Number), ip: '127.0.0.1', hostname: 'edge-1', certificate: 'CN=kong_clustering' };
    await expect.poll(() => plane.view.dataPlane(node.id)).toMatchObject({ refused_claim: claim });
    expect((await plane.view.dataPlanes({ size: 1000 })).rows).toContainEqual(
      expect.objectContaining({ id: node.id, refused_claim: claim }),
    );
    // Its own link is as it was, and it may come back as often as it likes.
    first.say({ type: 'heartbeat', serial: null, config_hash: null });
    await first.hear('heartbeat');
    await connected(node, plane.port);
    expect(await first.closed()).toBe(4409);
  });

  test('is not to be had with a hello without proof, a proof of another hello, or one that answers nothing', async () => {
    const plane = await controlPlane();
    const node = await KnownNode.create();
    await connected(node, plane.port);
    const recorded = await node.hello('a challenge of long ago');
    const { proof: _, ...bare } = recorded;
    const { nonce: __, ...unbound } = recorded;
    for (const [forged, code] of [
      [bare, TAKEN],
      [recorded, 4400],
      [{ ...recorded, nonce: crypto.randomUUID() }, 4400],
      [unbound, 4400],
      [{ ...recorded, proof: 'x' }, 4400],
    ] as const) {
      const link = await TestLink.open(plane.port);
      onTestFinished(() => link.socket.terminate());
      const closed = link.closed();
      link.say(forged);
      expect(await closed).toBe(code);
    }
    expect(plane.log.join('\n')).toContain('hello.proof: answers no challenge of this control plane');
  });

  test('is the same on every control plane of the database, and after a restart of one', async () => {
    const [one, other] = [await controlPlane(), await controlPlane()];
    const node = await KnownNode.create();
    await connected(node, one.port);
    await expect.poll(() => other.view.dataPlane(node.id)).toMatchObject({ connected: true });
    const thief = await KnownNode.create(node.id);
    expect(await tried(thief, other.port)).toBe(TAKEN);
    await one.stop();
    const again = await controlPlane();
    expect(await tried(thief, again.port)).toBe(TAKEN);
    await connected(node, again.port);
  });

  test('goes to the faster of two that say it first at the same time on two control planes', async () => {
    // Both ask whose it is before either is written down.
    const both = Promise.withResolvers<void>();
    let asked = 0;
    const keys: typeof store.nodes.keys = async (id) => {
      const found = await store.nodes.keys(id);
      if (++asked === 2) both.resolve();
      await both.promise;
      return found;
    };
    const over = { ...store, nodes: { ...store.nodes, keys } };
    const [one, other] = [await controlPlane({}, over), await controlPlane({}, over)];
    const id = crypto.randomUUID();
    const [first, second] = [await KnownNode.create(id), await KnownNode.create(id)];
    const links = await Promise.all([tried(first, one.port), tried(second, other.port)]);
    expect(links.filter((link) => link === TAKEN)).toHaveLength(1);
  });

  test('is settled when the database is back, where it was away when two said it', async () => {
    let away = true;
    const guarded = <A extends unknown[], T>(work: (...args: A) => Promise<T>) => {
      return (...args: A): Promise<T> => (away ? Promise.reject(new Error('the database is away')) : work(...args));
    };
    const { keys, put, putAll, renew } = store.nodes;
    const guards = { keys: guarded(keys), put: guarded(put), putAll: guarded(putAll), renew: guarded(renew) };
    const nodes = { ...store.nodes, ...guards };
    const [one, other] = [await controlPlane({}, { ...store, nodes }), await controlPlane({}, { ...store, nodes })];
    const id = crypto.randomUUID();
    const links = [
      await connected(await KnownNode.create(id), one.port),
      await connected(await KnownNode.create(id), other.port),
    ];
    // Who is connected here is known without a database.
    expect(await tried(await KnownNode.create(id), one.port)).toBe(TAKEN);
    const closed = Promise.race(links.map((link) => link.closed()));
    away = false;
    await Promise.all([one.listener.nodes.flush(), other.listener.nodes.flush()]);
    expect(await closed).toBe(TAKEN);
    expect([...one.log, ...other.log].filter((line) => line.includes('belongs to another data plane'))).toHaveLength(1);
  });

  test('is free again once it was forgotten at the Admin API, or was gone for the time of the purge', async () => {
    const [plane, other] = [await controlPlane(), await controlPlane()];
    const node = await KnownNode.create();
    const link = await connected(node, other.port);
    const anew = await KnownNode.create(node.id);
    expect(await tried(anew, plane.port)).toBe(TAKEN);
    const closed = link.closed();
    expect(await plane.view.forget(node.id)).toBe(true);
    expect(await closed).toBe(TAKEN);
    expect(await plane.view.dataPlane(node.id)).toBeNull();
    expect(await plane.view.forget(node.id)).toBe(false);
    expect(await plane.view.forget('nobody')).toBe(false);
    await connected(anew, plane.port);
    await expect.poll(() => plane.view.dataPlane(node.id)).toMatchObject({ refused_claim: null });
    expect(await tried(node, plane.port)).toBe(TAKEN);

    const old = await KnownNode.create();
    const keys = { node: old.key, certificate: null };
    await store.nodes.put({ ...(await reportOf(plane.listener, anew.id)), id: old.id, keys }, -1, crypto.randomUUID());
    await connected(await KnownNode.create(old.id), plane.port);
  });

  test('is free once it was forgotten, also where another control plane was just writing it down', async () => {
    const [writing, written] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let held = false;
    const putAll: typeof store.nodes.putAll = async (...args) => {
      if (held) {
        writing.resolve();
        await written.promise;
      }
      return store.nodes.putAll(...args);
    };
    const [plane, other] = [
      await controlPlane(),
      await controlPlane({}, { ...store, nodes: { ...store.nodes, putAll } }),
    ];
    const node = await KnownNode.create();
    const link = await connected(node, other.port);
    await other.listener.nodes.flush();
    held = true;
    link.say({ type: 'rejected', serial: 1, reason: 'so that there is something to write down' });
    await writing.promise;
    const closed = link.closed();
    expect(await plane.view.forget(node.id)).toBe(true);
    expect(await closed).toBe(TAKEN);
    written.resolve();
    await other.listener.nodes.flush();
    expect(await store.nodes.get(node.id)).toBeNull();
    await connected(await KnownNode.create(node.id), plane.port);
  });

  test('of a data plane of an earlier version is anybody’s, until it proves a key', async () => {
    const plane = await controlPlane();
    const node = await KnownNode.create();
    for (let n = 0; n < 2; n++) {
      const link = await TestLink.open(plane.port);
      onTestFinished(() => link.socket.terminate());
      link.say(hello({ id: node.id }));
      await link.hear('manifest');
    }
    await expect.poll(() => plane.view.dataPlane(node.id)).toMatchObject({ connected: true });
    await connected(node, plane.port);
    await expect
      .poll(async () => (await store.nodes.keys(node.id))?.keys)
      .toEqual({ node: node.key, certificate: null });
    expect(await tried(await KnownNode.create(node.id), plane.port)).toBe(TAKEN);
  });
});

async function reportOf(listener: ClusterListener, id: string) {
  await listener.nodes.flush();
  return listener.nodes.get(id)?.record ?? expect.fail(`${id} is not connected`);
}

describe('in cluster_mtls = pki, the id of a data plane', () => {
  async function pki() {
    const ca = await authority('cluster');
    const plane = await controlPlane({
      tls: loadClusterTls({ mode: 'pki', ...(await ca.leaf()), ca: ca.pem, end: 'server' }),
    });
    const client = async (): Promise<ClientTls> => ({
      ...(await ca.leaf({ name: 'dp.test' })),
      ca: ca.pem,
      servername: 'cp.test',
    });
    return { plane, client };
  }

  test('belongs to its certificate, also where it has no key of its own', async () => {
    const { plane, client } = await pki();
    const id = crypto.randomUUID();
    const say = async (tls: ClientTls) => {
      const link = await TestLink.open(plane.port, tls);
      onTestFinished(() => link.socket.terminate());
      const closed = link.closed();
      link.say(hello({ id }));
      return Promise.race([link.hear('manifest').then(() => 'welcome'), closed]);
    };
    const own = await client();
    expect(await say(own)).toBe('welcome');
    await plane.listener.nodes.flush();
    expect(await say(await client())).toBe(TAKEN);
    expect(await say(own)).toBe('welcome');
  });

  test('stays when its certificate is renewed with a new key, and when it was installed anew with its certificate', async () => {
    const { plane, client } = await pki();
    const own = await client();
    const node = await KnownNode.create(undefined, own);
    await connected(node, plane.port);
    await plane.listener.nodes.flush();
    const renewed = node.withCertificate(await client());
    await connected(renewed, plane.port);
    expect(plane.log).toContain(`info data plane ${node.id} (edge-1) has a new certificate`);
    await plane.listener.nodes.flush();
    expect(await tried(await KnownNode.create(node.id, own), plane.port)).toBe(TAKEN);
    const anew = await KnownNode.create(node.id, renewed.tls);
    await connected(anew, plane.port);
    expect(plane.log).toContain(`info data plane ${node.id} (edge-1) has a new key of its own`);
    await plane.listener.nodes.flush();

    // A certificate that several show says nothing of which of them it is.
    await connected(await KnownNode.create(undefined, renewed.tls), plane.port);
    await plane.listener.nodes.flush();
    expect(await tried(await KnownNode.create(node.id, renewed.tls), plane.port)).toBe(TAKEN);
    await connected(anew, plane.port);
  });

  test('is not spoken for over HTTPS with another certificate', async () => {
    const { plane, client } = await pki();
    const node = await KnownNode.create(undefined, await client());
    const { session } = await node.greet(plane.port);
    const beat = { type: 'heartbeat', serial: null, config_hash: null } as const;
    expect((await node.say(plane.port, beat, session)).status).toBe(204);
    expect((await node.withCertificate(await client()).say(plane.port, beat, session)).status).toBe(403);
  });
});

describe('over HTTPS, and at the telemetry port', () => {
  test('nobody speaks for a data plane but the one whose hello was proved', async () => {
    const plane = await controlPlane();
    const node = await KnownNode.create();
    const thief = await KnownNode.create(node.id);
    const ports = [plane.port, plane.telemetryPort];
    for (const port of ports) {
      const { status, session } = await node.greet(port);
      expect(status).toBe(200);
      expect(await thief.greet(port)).toMatchObject({ status: 403, text: expect.stringContaining('another key') });
      const forged = { type: 'rejected', serial: 1, reason: 'forged' } as const;
      expect((await thief.say(port, forged)).status).toBe(403);
      expect((await thief.say(port, forged, 'A'.repeat(43))).status).toBe(403);
      expect((await thief.say(port, hello({ id: node.id }))).status).toBe(403);
      expect((await node.say(port, { type: 'rejected', serial: 1, reason: 'true' }, session)).status).toBe(204);
      expect(plane.listener.nodes.get(node.id)?.record.reason).toBe('true');
    }
    expect((await call(plane.port, `/v1/manifest?node=${node.id}`)).status).toBe(403);
    expect(plane.log.filter((line) => line.includes('in the name of data plane'))).toHaveLength(1);
  });

  test('a challenge is good for one hello', async () => {
    const plane = await controlPlane();
    const node = await KnownNode.create();
    const { challenge } = JSON.parse((await call(plane.port, '/v1/challenge')).body.toString());
    expect((await node.say(plane.port, await node.hello(challenge))).status).toBe(200);
    const again = await node.say(plane.port, await node.hello(challenge));
    expect([again.status, again.body.toString()]).toEqual([400, expect.stringContaining('or one that was used')]);
    expect((await node.say(plane.port, await node.hello('A'.repeat(75)))).status).toBe(400);
  });

  test('nobody speaks over HTTPS for a data plane that is connected by WebSocket', async () => {
    const plane = await controlPlane();
    const node = await KnownNode.create();
    await connected(node, plane.port);
    const told = await node.say(plane.telemetryPort, { type: 'rejected', serial: 1, reason: 'forged' });
    expect(told.status).toBe(428);
    expect(plane.listener.nodes.get(node.id)?.record.reason).toBeNull();
  });
});

describe('what a data plane says of itself', () => {
  test('is not believed where nobody can have it: a serial above the published one', async () => {
    const plane = await controlPlane();
    const node = await KnownNode.create();
    const link = await TestLink.open(plane.port, sharedClient);
    onTestFinished(() => link.socket.terminate());
    link.say(await node.hello(link.challenge));
    const { serial, config_hash } = await verify((await link.hear('manifest')).manifest);
    link.say({ type: 'applied', serial, config_hash });
    link.say({ type: 'applied', serial: serial + 5, config_hash: 'f'.repeat(32) });
    link.say({ type: 'heartbeat', serial: serial + 7, config_hash: 'f'.repeat(32) });
    await link.hear('heartbeat');
    const record = await reportOf(plane.listener, node.id);
    expect(record).toMatchObject({ serial, config_hash, sync_status: 'normal' });
    expect(plane.log.filter((line) => line.includes('not believed'))).toEqual([
      expect.stringContaining(`says it has serial ${serial + 5}, but ${serial} is the newest`),
    ]);
  });

  test.each([[199], [600], [99999]])('is refused as an answer with status %i', async (status) => {
    const plane = await controlPlane();
    const link = await connected(await KnownNode.create(), plane.port);
    void plane.view.explain({ path: '/' }).catch(() => undefined);
    const { id } = await link.hear('explain');
    const closed = link.closed();
    link.say({ type: 'explained', id, status, body: {} });
    expect(await closed).toBe(4400);
    expect(plane.log.join('\n')).toContain('explained.status: expected an integer from 200 to 599');
  });

  test('counts as an answer only from the one that was asked', async () => {
    const plane = await controlPlane();
    const link = await connected(await KnownNode.create(), plane.port);
    const other = await connected(await KnownNode.create(), plane.port);
    const answer = plane.view.explain({ path: '/' });
    // Neither has said which config it has: the first is asked.
    const { id } = await link.hear('explain');
    other.say({ type: 'explained', id, status: 200, body: { who: 'another' } });
    other.say({ type: 'heartbeat', serial: null, config_hash: null });
    await other.hear('heartbeat');
    link.say({ type: 'explained', id, status: 200, body: { who: 'asked' } });
    expect(await answer).toMatchObject({ outcome: 'answered', body: { who: 'asked' } });
  });
});
