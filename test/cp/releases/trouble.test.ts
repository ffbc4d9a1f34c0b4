import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { ensureClusterFiles } from '../../../cp/pki/gen-cert.ts';
import { ReleaseDesk } from '../../../cp/releases/desk.ts';
import { readStrategy } from '../../../cp/releases/rings.ts';
import { openStore } from '../../../cp/store/open.ts';
import type { Workspace } from '../../../cp/store/store.ts';
import type { Manifest } from '../../../shared/bundle/format.ts';
import { signManifest } from '../../../shared/bundle/signing.ts';
import { holdfast } from '../../e2e/processes.ts';
import { freshPrefix } from '../../embedded-database.ts';
import { type PostgresServer, startPostgres } from '../../postgres-server.ts';
import { controlPlaneOver, hello, signingKey, signingKeyFile, TestLink, verify } from '../cluster/control-plane.ts';
import { workspaceOf } from '../store/workspace-of.ts';

/** Milliseconds for what takes a moment, also on a busy machine. */
const PATIENCE = { timeout: 60_000 };

let server: PostgresServer;
let admin: Client;
let databases = 0;
beforeAll(async () => {
  server = await startPostgres();
  const { pg_host: host, pg_port: port, pg_user: user } = server.settings();
  admin = new Client({ host, port, user, database: 'postgres' });
  await admin.connect();
});
afterAll(async () => {
  await admin.end();
  await server.stop();
});

async function freshDatabase(): Promise<string> {
  const name = `releases_${++databases}`;
  await admin.query(`CREATE DATABASE ${name}`);
  await (await openStore({ ...server.settings(), pg_database: name }, { migrate: true })).close();
  return name;
}

/** One of several control planes on a database; `interval`: milliseconds between its looks at releases. */
async function controlPlane(pg_database: string, interval = 50) {
  const store = await openStore({ ...server.settings(), pg_database });
  const lines: string[] = [];
  const log = (level: string, message: string) => void lines.push(`${level} ${message}`);
  const { publisher, listener, port, stop: end } = await controlPlaneOver(store, { log });
  const { releases, nodes: registry, telemetry } = store;
  const desk = new ReleaseDesk({ publisher, store: releases, registry, telemetry, log, interval });
  let running = true;
  const stop = async () => {
    if (!running) return;
    running = false;
    desk.stop();
    await end();
    await store.close();
  };
  onTestFinished(stop);
  const state = async (id: string) => (await desk.get(id))?.state;
  /** Has it look often; returns what ends that. */
  const look = () => {
    const another = new ReleaseDesk({ publisher, store: releases, registry, telemetry, log, interval: 50 });
    onTestFinished(() => another.stop());
    return () => another.stop();
  };
  return { publisher, listener, desk, port, lines, stop, state, look, here: await workspaceOf(store) };
}

/** One in a process of its own, with the same key. */
async function controlPlaneProcess(pg_database: string) {
  const prefix = await freshPrefix('migrated');
  onTestFinished(() => rmSync(prefix, { recursive: true, force: true }));
  await ensureClusterFiles(prefix);
  const key = join(prefix, 'of-the-others.key');
  writeFileSync(key, signingKeyFile, { mode: 0o600 });
  const { pg_host, pg_port, pg_user } = server.settings();
  const started = await holdfast(
    ['start'],
    {
      ...{ role: 'control_plane', prefix, bundle_signing_key: key, log_level: 'info' },
      ...{ database: 'postgres', pg_host, pg_port: String(pg_port), pg_user, pg_database },
      ...{ admin_listen: '127.0.0.1:0', admin_gui_listen: 'off' },
      ...{ cluster_listen: '127.0.0.1:0', cluster_telemetry_listen: 'off' },
      cluster_cert: join(prefix, 'cluster.crt'),
      cluster_cert_key: join(prefix, 'cluster.key'),
      bundle_trusted_keys: join(prefix, 'bundle-keys.json'),
    },
    prefix,
  );
  onTestFinished(() => void started.end('SIGKILL'));
  return started;
}

/** A data plane of `default` that takes what it is given. Fails the test when that is older than what it had. */
class Follower {
  readonly id = crypto.randomUUID();
  readonly took: Manifest[] = [];
  #jws: string | null = null;
  #link: TestLink | null = null;

  get services(): number | undefined {
    return this.took.at(-1)?.tables.services?.rows;
  }

  get serial(): number {
    return this.took.at(-1)?.serial ?? 0;
  }

  leave(): void {
    this.#link?.socket.terminate();
    this.#link = null;
  }

  async connect({ port }: { readonly port: number }): Promise<void> {
    this.leave();
    const link = await TestLink.open(port);
    this.#link = link;
    onTestFinished(() => link.socket.terminate());
    link.say({ ...hello({ id: this.id, hostname: this.id, labels: {} }, this.#jws), assignable: true });
    void this.#follow(link);
  }

  async #follow(link: TestLink): Promise<void> {
    for (;;) {
      const message = await link.hearAny().catch(() => null);
      if (message === null || this.#link !== link) return;
      if (message.type !== 'manifest') continue;
      const manifest = await verify(message.manifest, null);
      expect(manifest.serial).toBeGreaterThanOrEqual(this.serial);
      this.#jws = message.manifest;
      this.took.push(manifest);
      link.say({ type: 'applied', serial: manifest.serial, config_hash: manifest.config_hash });
    }
  }
}

const service = (here: Workspace, name: string) => here.entity('services').insert({ name, host: `${name}.test` });
const staged = (here: Workspace) => here.entity('groups').insert({ name: 'default', publish: 'release' });

test('an older database that is restored has the releases of its time: data planes get what was live then, under a higher serial', async () => {
  const database = await freshDatabase();
  const before = await controlPlane(database);
  await service(before.here, 'one');
  await staged(before.here);
  await service(before.here, 'two');
  const old = await before.desk.create('default', [], null);
  await before.stop();
  await admin.query(`CREATE DATABASE ${database}_backup TEMPLATE ${database}`);

  const plane = await controlPlane(database);
  const node = new Follower();
  await node.connect(plane);
  await service(plane.here, 'three');
  const lost = await plane.desk.create('default', [], null);
  await service(plane.here, 'four');
  const rolling = await plane.desk.create('default', readStrategy([{ hold: 3600 }]), null);
  await expect.poll(() => node.services, PATIENCE).toBe(4);
  const held = node.serial;

  await admin.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
  await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`);
  const renamed = () => admin.query(`ALTER DATABASE ${database} RENAME TO ${database}_lost`).then(Boolean, () => false);
  await expect.poll(renamed, PATIENCE).toBe(true);
  await admin.query(`ALTER DATABASE ${database}_backup RENAME TO ${database}`);

  await expect.poll(() => node.services, PATIENCE).toBe(2);
  expect(node.serial).toBeGreaterThan(held);
  expect(await plane.state(old.id)).toBe('live');
  expect([await plane.state(lost.id), await plane.state(rolling.id)]).toEqual([undefined, undefined]);
  // And goes on from there.
  await service(plane.here, 'after');
  await plane.desk.create('default', [], null);
  await expect.poll(() => node.services, PATIENCE).toBe(3);
});

test('a data plane has a release when it serves what that has, not when it came further with something else', async () => {
  const plane = await controlPlane(await freshDatabase());
  await service(plane.here, 'one');
  await staged(plane.here);
  await service(plane.here, 'two');
  const rings = [
    { nodes: { labels: 'tier:canary' }, hold: 3600 },
    { nodes: { percent: 100 }, hold: 3600, gates: { min_nodes: 1 } },
  ];
  const release = await plane.desk.create('default', readStrategy(rings), null);

  // As after a failover to a database that had lost something: it gets what is live, at a serial above its own.
  const { manifest: live } = plane.publisher.current();
  const link = await TestLink.open(plane.port);
  onTestFinished(() => link.socket.terminate());
  const held = await signManifest({ ...live, serial: release.serial + 1000 }, signingKey);
  link.say({ ...hello({ labels: {} }, held), assignable: true });
  const applied = async () => {
    let message = await link.hearAny();
    while (message.type !== 'manifest') message = await link.hearAny();
    const { serial, config_hash } = await verify(message.manifest);
    return { type: 'applied', serial, config_hash } as const;
  };
  const lifted = await applied();
  expect([lifted.serial > release.serial, lifted.config_hash]).toEqual([true, live.config_hash]);
  link.say(lifted);

  const figures = async () => {
    const now = await plane.desk.get(release.id);
    return now && (await plane.desk.figures(now));
  };
  await expect.poll(async () => (await plane.desk.get(release.id))?.state, PATIENCE).toBe('rolling');
  await plane.desk.order((await plane.desk.get(release.id)) ?? expect.fail(), 'promote');
  let given = await applied();
  // What is live once more, if it was given that before it was told of the ring.
  for (; given.config_hash !== release.configHash; given = await applied()) link.say(given);
  expect(await figures()).toMatchObject({ nodes: 1, nodes_serving: 0 });
  link.say(given);
  await expect.poll(async () => (await figures())?.nodes_serving, PATIENCE).toBe(1);
});

test('of three control planes any may be gone while a release is at a ring: the others move it on, each step once', async () => {
  const database = await freshDatabase();
  const [a, b, c] = [await controlPlane(database), await controlPlane(database), await controlPlane(database)];
  await service(a.here, 'one');
  await staged(a.here);
  const node = new Follower();
  await node.connect(c);
  await service(a.here, 'two');
  const ring = { nodes: { percent: 0 }, hold: 1 };
  const strategy = readStrategy([ring, ring, { hold: 3600 }]);
  const { id } = await a.desk.create('default', strategy, null);
  // The one that made it, then the one that has moved it on, as far as that is told.
  await a.stop();
  const at = async () => (await c.desk.get(id))?.ring;
  await expect.poll(at, PATIENCE).toBeGreaterThan(0);
  await b.stop();
  await expect.poll(at, PATIENCE).toBe(2);
  await expect.poll(() => node.services, PATIENCE).toBe(2);
  const steps = [a, b, c].flatMap(({ lines }) => lines).filter((line) => line.includes(`release ${id}`));
  for (const place of [1, 2, 3]) {
    expect(steps.filter((line) => line.includes(`at ring ${place} of 3`))).toHaveLength(1);
  }
});

test('a control plane that hangs in the middle of a step, and comes back, has not taken it, nor one that is killed in it: the others do, each once', async () => {
  const database = await freshDatabase();
  const seldom = 2 ** 30;
  const [b, c] = [await controlPlane(database, seldom), await controlPlane(database, seldom)];
  await service(b.here, 'one');
  await staged(b.here);
  const node = new Follower();
  await node.connect(b);
  await service(b.here, 'two');
  const hanging = await controlPlaneProcess(database);
  const ring = { nodes: { percent: 0 }, hold: 3_600 };
  const { id } = await b.desk.create('default', readStrategy([ring, ring, ring, ring]), null);
  const { pg_host: host, pg_port: port, pg_user: user } = server.settings();
  const lock = new Client({ host, port, user, database });
  await lock.connect();
  onTestFinished(() => lock.end());
  const sessions = (where: string): Promise<readonly number[]> =>
    admin
      .query(
        `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND query LIKE '%FROM releases WHERE id = %FOR UPDATE%' AND ${where}`,
        [database],
      )
      .then(({ rows }) => rows.map(({ pid }) => Number(pid)));
  /** The only one that looks has decided upon the next step, and has begun with it. */
  const inTheMiddle = async () => {
    hanging.child.kill('SIGSTOP');
    await lock.query(`UPDATE releases SET since = since - interval '2 hours' WHERE id = '${id}'`);
    await lock.query('BEGIN');
    await lock.query(`SELECT FROM releases WHERE id = '${id}' FOR UPDATE`);
    hanging.child.kill('SIGCONT');
    await expect.poll(() => sessions(`wait_event_type = 'Lock'`), PATIENCE).toHaveLength(1);
  };
  const at = async () => (await b.desk.get(id))?.ring;

  await inTheMiddle();
  hanging.child.kill('SIGSTOP');
  await lock.query('ROLLBACK');
  // Now the lock is its own, for as long as the database bears with it: a minute (idle_in_transaction_session_timeout).
  await expect.poll(() => sessions(`state = 'idle in transaction'`), PATIENCE).toHaveLength(1);
  const [held] = await sessions(`state = 'idle in transaction'`);
  const both = [b, c].map(({ look }) => look());
  await expect.poll(() => sessions(`wait_event_type = 'Lock'`), PATIENCE).not.toEqual([]);
  expect(await at()).toBe(0);
  await admin.query('SELECT pg_terminate_backend($1)', [held]);
  await expect.poll(at, PATIENCE).toBe(1);
  for (const stop of both) stop();
  hanging.child.kill('SIGCONT');

  // It looks again, or nothing could be caught in the next step: it has seen the ring that the others began, and leaves it at that.
  await inTheMiddle();
  expect(await at()).toBe(1);
  await hanging.end('SIGKILL');
  await lock.query('ROLLBACK');
  const again = [b, c].map(({ look }) => look());
  await expect.poll(at, PATIENCE).toBe(2);
  for (const stop of again) stop();

  // One that knew it from before it was paused and went on: it is another stay at the ring.
  const before = (await b.desk.get(id)) ?? expect.fail('the release is gone');
  await c.desk.order(await c.desk.order(before, 'pause'), 'resume');
  await expect(b.desk.order(before, 'promote')).rejects.toThrow('the release moved on meanwhile');
  expect(await at()).toBe(2);

  const lines = [...b.lines, ...c.lines, ...hanging.output().split('\n')].filter((line) =>
    line.includes(`release ${id}`),
  );
  for (const place of [2, 3])
    expect(lines.filter((line) => line.includes(`rolling at ring ${place} of 4`))).toHaveLength(place === 3 ? 2 : 1);
});

test('a data plane that was away over releases that went live and one that was undone gets what is live, also once all others are forgotten', async () => {
  const database = await freshDatabase();
  const [a, b] = [await controlPlane(database), await controlPlane(database)];
  await service(a.here, 'one');
  await staged(a.here);
  const node = new Follower();
  await node.connect(a);
  await service(a.here, 'two');
  const tried = await a.desk.create('default', readStrategy([{ hold: 3600 }]), null);
  await expect.poll(() => node.services, PATIENCE).toBe(2);
  expect(node.serial).toBe(tried.serial);
  node.leave();

  // What it holds is undone, others follow, and a day later nobody knows of it any more.
  await a.desk.order((await a.desk.get(tried.id)) ?? tried, 'abort');
  for (const name of ['three', 'four', 'five']) {
    await service(a.here, name);
    await a.desk.create('default', [], null);
  }
  const store = await openStore({ ...server.settings(), pg_database: database });
  await store.releases.forget({ count: 0, age: 0 });
  await store.close();
  expect(await a.state(tried.id)).toBeUndefined();
  await a.stop();

  const late = await controlPlane(database);
  await node.connect(late);
  await expect.poll(() => node.services, PATIENCE).toBe(5);
  expect(node.serial).toBeGreaterThan(tried.serial);
  await node.connect(b);
  await expect.poll(() => b.listener.nodes.get(node.id)?.record.serial, PATIENCE).toBe(node.serial);
});

test('a clock of the database that goes back, as with another server, has the hold of a ring begin anew, once', async () => {
  const database = await freshDatabase();
  const plane = await controlPlane(database);
  await service(plane.here, 'one');
  await staged(plane.here);
  await service(plane.here, 'two');
  const strategy = readStrategy([{ nodes: { percent: 0 }, hold: 2 }, { hold: 3600 }]);
  const { id } = await plane.desk.create('default', strategy, null);
  const { pg_host: host, pg_port: port, pg_user: user } = server.settings();
  const client = new Client({ host, port, user, database });
  await client.connect();
  onTestFinished(() => client.end());
  // By the clock that it has now, the ring begins in a day.
  await client.query(`UPDATE releases SET since = since + interval '1 day' WHERE id = '${id}'`);
  await expect.poll(async () => (await plane.desk.get(id))?.ring, PATIENCE).toBe(1);
  expect(await plane.state(id)).toBe('rolling');
  // A pause stays one.
  await plane.desk.order((await plane.desk.get(id)) ?? expect.fail('the release is gone'), 'pause');
  await client.query(`UPDATE releases SET since = since + interval '1 day' WHERE id = '${id}'`);
  const paused = (await plane.desk.get(id)) ?? expect.fail('the release is gone');
  expect(await plane.desk.order(paused, 'resume')).toMatchObject({ state: 'rolling', ring: 1 });
  expect(plane.lines.filter((line) => line.includes(`release ${id}`) && line.includes('at ring 1 of 2'))).toHaveLength(
    2,
  );
});

test('a clock of the database that jumps ahead, as with another server, ends a hold and brings a time sooner; gates are asked as ever', async () => {
  const database = await freshDatabase();
  const plane = await controlPlane(database);
  await service(plane.here, 'one');
  await staged(plane.here);
  await plane.here.entity('groups').insert({ name: 'later', labels: 'in = later', publish: 'release' });
  const node = new Follower();
  await node.connect(plane);
  await expect.poll(async () => (await plane.desk.pending('later'))?.changes, PATIENCE).toEqual([]);
  await service(plane.here, 'two');
  const soon = 600;
  const strategy = readStrategy([{ hold: soon, gates: { min_nodes: 1 } }, { hold: 604_800 }]);
  const { id } = await plane.desk.create('default', strategy, null);
  const scheduled = await plane.desk.create('later', [], Date.now() / 1000 + soon);
  await expect.poll(() => node.services, PATIENCE).toBe(2);
  const release = async () => (await plane.desk.get(id)) ?? expect.fail('the release is gone');
  const waits = async () => (await plane.desk.figures(await release()))?.waits_for;
  node.leave();
  const missing = ['0 of 1 data planes (min_nodes)', '1 of 1 data planes that left (max_gone_increase)'];
  const hold = expect.stringContaining('(hold)');
  await expect.poll(waits, PATIENCE).toEqual([hold, ...missing]);

  const { pg_host: host, pg_port: port, pg_user: user } = server.settings();
  const client = new Client({ host, port, user, database });
  await client.connect();
  await client.query(`ALTER FUNCTION pg_catalog.now() RENAME TO now_before`);
  await client.query(`CREATE FUNCTION pg_catalog.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT pg_catalog.now_before() + interval '15 minutes' $$`);
  await client.end();
  await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`);

  await expect.poll(() => plane.state(scheduled.id).catch(() => 'no database'), PATIENCE).toBe('live');
  // Its data plane is gone for long, by that clock: it is waited for nonetheless, and may come back as ever.
  expect(await waits()).toEqual(missing);
  expect(await release()).toMatchObject({ state: 'rolling', ring: 0 });
  await node.connect(plane);
  await expect.poll(async () => (await release()).ring, PATIENCE).toBe(1);
  expect(await release()).toMatchObject({ state: 'rolling', ring: 1 });
});

test.each([
  ['ahead', 3 * 86_400_000],
  ['back', -3 * 86_400_000],
])(
  'a clock of a control plane that jumps days %s neither begins a release, nor ends a ring, nor keeps one from it',
  async (_, jump) => {
    const plane = await controlPlane(await freshDatabase());
    await service(plane.here, 'one');
    await staged(plane.here);
    await service(plane.here, 'two');
    const rolling = await plane.desk.create('default', readStrategy([{ hold: 86_400 }]), null);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + jump });
    onTestFinished(() => void vi.useRealTimers());
    const looks = vi.spyOn(plane.publisher, 'flush');
    await plane.desk.pending('default');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(looks).toHaveBeenCalled();
    expect(await plane.state(rolling.id)).toBe('rolling');
    await plane.desk.order(rolling, 'promote');

    // By the database's clock both come when they should.
    await service(plane.here, 'three');
    const now = Number((await admin.query('SELECT extract(epoch FROM now()) AS now')).rows[0]?.now);
    const soon = await plane.desk.create('default', readStrategy([{ hold: 1 }]), now + 5);
    expect(soon.state).toBe('scheduled');
    await expect.poll(() => plane.state(soon.id), PATIENCE).toBe('live');
  },
);
