import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { clusterView } from '../../../cp/cluster/view.ts';
import { createLog } from '../../../cp/instance/log.ts';
import { SigningRing } from '../../../cp/keys/signing-ring.ts';
import { loadSigningKey } from '../../../cp/pki/cluster-tls.ts';
import { openStore } from '../../../cp/store/open.ts';
import { DatabaseUnavailable } from '../../../cp/store/unavailable.ts';
import { generateSigningKey } from '../../../shared/bundle/signing.ts';
import { freshPrefix } from '../../embedded-database.ts';
import { type PostgresServer, startPostgres } from '../../postgres-server.ts';
import { silentRelay } from '../../silent-relay.ts';
import { runControlPlane } from '../running-control-plane.ts';
import { workspaceOf } from '../store/workspace-of.ts';
import { controlPlaneOver, hello, NODE_ID, TestLink, verify } from './control-plane.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
  await (await openStore(server.settings(), { migrate: true })).close();
});
afterAll(() => server.stop());

/** One of several control planes on the database. */
async function controlPlane(
  id: string = crypto.randomUUID(),
  pg_database = 'postgres',
  pg_port = server.settings().pg_port,
) {
  const store = await openStore({ ...server.settings(), pg_database, pg_port });
  const levels: object[] = [];
  const onLogLevel = (order: object) => void levels.push(order);
  const { listener, port, stop: end } = await controlPlaneOver(store, { id, onLogLevel });
  let running = true;
  const stop = async () => {
    if (!running) return;
    running = false;
    await end();
    await store.close();
  };
  onTestFinished(stop);
  return { store, stop, view: clusterView(store.nodes, listener), port, levels };
}

test('a log level for all control planes is heard by the others', async () => {
  const [one, other] = [await controlPlane(), await controlPlane()];
  const order = { level: 'emerg', seconds: 5 } as const;
  // Who does not listen yet hears nothing.
  const said = async (): Promise<object | undefined> => {
    await one.view.setLogLevel(order);
    return other.levels[0];
  };
  await expect.poll(said).toEqual(order);
  expect(one.levels).toEqual([]);
});

test('a control plane shows, and orders, the targets of data planes that are connected to another one', async () => {
  const [one, other] = [await controlPlane(), await controlPlane()];
  const link = await TestLink.open(one.port);
  onTestFinished(() => link.socket.terminate());
  link.say(hello());
  await link.hear('manifest');
  await expect.poll(() => other.view.dataPlane(NODE_ID)).toMatchObject({ hostname: 'edge-1', connected: true });

  const targets = { t1: { dns: 'A', health: 'UNHEALTHY', addresses: [] } };
  link.say({ type: 'heartbeat', serial: 0, config_hash: null, health: { u1: targets } });
  await link.hear('heartbeat');
  await expect
    .poll(() => other.view.targetHealth('u1'))
    .toEqual([{ node: { id: NODE_ID, hostname: 'edge-1' }, targets }]);

  const order = { upstream: 'u1', target: 't1', address: null, healthy: true };
  await other.view.setTargetHealth(order);
  expect(await link.hear('target_health')).toEqual({ type: 'target_health', ...order });
  await one.view.setTargetHealth({ ...order, healthy: false });
  await one.view.setTargetHealth({ ...order, target: 't2' });
  expect(await link.hear('target_health')).toMatchObject({ healthy: false });
  // Its own order did not come back to it over the database.
  expect(await link.hear('target_health')).toMatchObject({ target: 't2' });

  await other.view.purge({ of: 'key', name: 'k' });
  expect(await link.hear('purge')).toEqual({ type: 'purge', of: 'key', name: 'k' });
  // Whoever is connected elsewhere may have what nobody here has.
  expect(await other.view.copy('k', null)).toEqual({ outcome: 'unknown' });

  // An address no target can have is passed over, not an error.
  await one.view.setTargetHealth({ ...order, address: 'x'.repeat(10_000) });

  await one.stop();
  await expect.poll(() => other.view.dataPlane(NODE_ID)).toMatchObject({ connected: false });
  expect(await other.view.targetHealth('u1')).toEqual([]);
});

test('one that the database no longer notifies, which nothing tells it, hears what the others order all the same', async () => {
  const relay = await silentRelay(server.settings().pg_port);
  onTestFinished(relay.close);
  const [one, deaf] = [await controlPlane(), await controlPlane(undefined, 'postgres', relay.port)];
  const link = await TestLink.open(deaf.port);
  onTestFinished(() => link.socket.terminate());
  link.say(hello());
  await link.hear('manifest');
  await expect.poll(() => one.view.dataPlane(NODE_ID)).toMatchObject({ connected: true });
  await one.view.purge({ of: 'key', name: 'heard' });
  expect(await link.hear('purge')).toMatchObject({ name: 'heard' });

  relay.silence();
  await one.view.purge({ of: 'key', name: 'first' });
  const order = { upstream: 'u1', target: 't1', address: null, healthy: false };
  await one.view.setTargetHealth(order);
  // Each once, and in their order.
  expect(await link.hear('purge')).toMatchObject({ name: 'first' });
  expect(await link.hear('target_health')).toEqual({ type: 'target_health', ...order });
  await one.view.purge({ of: 'key', name: 'second' });
  expect(await link.hear('purge')).toMatchObject({ name: 'second' });
  // What was ordered here meanwhile came later, and holds in the end, as it does for the data planes of the other.
  await one.view.setTargetHealth(order);
  await deaf.view.setTargetHealth({ ...order, healthy: true });
  const heard = [await link.hear('target_health'), await link.hear('target_health'), await link.hear('target_health')];
  expect(heard.map(({ healthy }) => healthy)).toEqual([true, false, true]);

  const closed = new Promise((resolve) => link.socket.once('close', resolve));
  expect(await one.view.forget(NODE_ID)).toBe(true);
  await closed;
});

test('one that starts again after it was killed does not count data planes as connected before they are', async () => {
  const id = crypto.randomUUID();
  // Killed: it says goodbye to nobody, and does not write down that anyone left.
  const [killed, other] = [await controlPlane(id), await controlPlane()];
  const link = await TestLink.open(killed.port);
  onTestFinished(() => link.socket.terminate());
  link.say(hello());
  await link.hear('manifest');
  await expect.poll(() => other.view.dataPlane(NODE_ID)).toMatchObject({ connected: true });

  const again = await controlPlane(id);
  expect(await again.view.dataPlane(NODE_ID)).toMatchObject({ connected: false });
  expect(await other.view.dataPlane(NODE_ID)).toMatchObject({ connected: false });
});

test('a control plane that starts on a backup goes on above the serial that a data plane brings along', async () => {
  const { pg_host: host, pg_port: port, pg_user: user } = server.settings();
  const admin = new Client({ host, port, user, database: 'postgres' });
  await admin.connect();
  onTestFinished(() => admin.end());
  await admin.query('CREATE DATABASE live');
  const settings = { ...server.settings(), pg_database: 'live' };
  const insert = async (...names: readonly string[]) => {
    const store = await openStore(settings);
    const here = await workspaceOf(store);
    for (const name of names) await here.entity('services').insert({ name, host: 'h' });
    await store.close();
  };
  await (await openStore(settings, { migrate: true })).close();
  await insert('kept');
  await admin.query('CREATE DATABASE backup TEMPLATE live');
  await insert('lost-1', 'lost-2', 'lost-3');

  const before = await controlPlane(undefined, 'live');
  const first = await TestLink.open(before.port);
  first.say(hello());
  const { manifest: held } = await first.hear('manifest');
  await before.stop();
  const after = await controlPlane(undefined, 'backup');
  const link = await TestLink.open(after.port);
  onTestFinished(() => link.socket.terminate());
  link.say(hello({}, held));
  const { manifest } = await link.hear('manifest');
  const [was, is] = await Promise.all([verify(held), verify(manifest)]);
  expect(is.serial).toBeGreaterThan(was.serial);
  expect([was.tables.services?.rows, is.tables.services?.rows]).toEqual([4, 1]);
});

test('a write to a database that had lost some is served once data planes have it, whatever serial they had before', async () => {
  const { pg_host, pg_port, pg_user } = server.settings();
  const admin = new Client({ host: pg_host, port: pg_port, user: pg_user, database: 'postgres' });
  await admin.connect();
  onTestFinished(() => admin.end());
  await admin.query('CREATE DATABASE replicated');
  await (await openStore({ ...server.settings(), pg_database: 'replicated' }, { migrate: true })).close();
  await admin.query('CREATE DATABASE replica TEMPLATE replicated');
  const database = { database: 'postgres', pg_host, pg_port: String(pg_port), pg_user, pg_database: 'replicated' };
  const plane = await runControlPlane(database, crypto.randomUUID());
  onTestFinished(() => plane.stop());
  const pem = async (file: string | null | undefined) => readFile(file ?? '', 'utf8');
  const [cert, key] = await Promise.all([pem(plane.settings.cluster_cert), pem(plane.settings.cluster_cert_key)]);
  const tls = { cert, key, ca: cert, servername: 'kong_clustering' };
  const signing = await loadSigningKey(plane.settings.bundle_signing_key ?? '');
  const link = await TestLink.open(plane.plane.cluster?.port ?? 0, tls, signing);
  onTestFinished(() => link.socket.terminate());
  link.say(hello({ version: '0.1.0' }));
  const served: (number | undefined)[] = [];
  void (async () => {
    for (;;) {
      const message = await link.hearAny().catch(() => null);
      if (message === null) return;
      if (message.type !== 'manifest') continue;
      const { serial, config_hash, tables } = await verify(message.manifest, null, signing);
      served.push(tables.services?.rows);
      link.say({ type: 'applied', serial, config_hash });
    }
  })();
  const write = async (name: string) => {
    const answer = await fetch(`${plane.admin}/services/${name}`, {
      method: 'PUT',
      body: new URLSearchParams({ host: 'h' }),
    });
    return answer.ok ? answer.headers.get('x-holdfast-serial') : null;
  };
  const wait = async (serial: string | null) => (await fetch(`${plane.admin}/wait/${serial}?timeout=60`)).status;
  for (const name of ['lost-1', 'lost-2', 'lost-3']) expect(await write(name)).not.toBeNull();
  expect(await wait('3')).toBe(200);
  expect(served.at(-1)).toBe(3);

  await admin.query('ALTER DATABASE replicated ALLOW_CONNECTIONS false');
  await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'replicated'`);
  const renamed = () => admin.query('ALTER DATABASE replicated RENAME TO lost').then(Boolean, () => false);
  await expect.poll(renamed).toBe(true);
  // For as long as it takes until looks for the database have become rare.
  await expect
    .poll(() => plane.log.join(), { timeout: 30_000 })
    .toContain('listening for changes of the database fails');
  await admin.query('ALTER DATABASE replica RENAME TO replicated');
  let serial: string | null = null;
  const written = async () => (serial ??= await write('kept'));
  await expect.poll(written, { timeout: 30_000, interval: 10 }).not.toBeNull();
  expect(await wait(serial)).toBe(200);
  expect(served.at(-1)).toBe(1);
});

test('of two changes of the signing keys that are made at once one is refused, and none undoes what the other did', async () => {
  const folder = await freshPrefix();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const { privateFile } = await generateSigningKey();
  const ringOf = async (name: string, append?: (write: () => Promise<boolean>) => Promise<boolean>) => {
    const file = join(folder, name, 'bundle-signing.key');
    await mkdir(join(folder, name), { recursive: true });
    await writeFile(file, privateFile);
    const store = await openStore(server.settings());
    const { signingKeys } = store;
    const ring = await SigningRing.open({
      file,
      introduced: [],
      log: createLog('emerg', () => {}),
      store: {
        ...signingKeys,
        append: (row, behind) =>
          append === undefined ? signingKeys.append(row, behind) : append(() => signingKeys.append(row, behind)),
      },
    });
    onTestFinished(async () => {
      ring.stop();
      await store.close();
    });
    return ring;
  };
  const one = await ringOf('one');
  const { key: spare } = await generateSigningKey(one.cluster);
  await one.spare(spare.publicKey);
  let meanwhile = async (): Promise<void> => {};
  // The clock of another machine is ahead.
  const other = await ringOf('other', async (write) => {
    await meanwhile();
    return write();
  });
  const clock = vi.spyOn(Date, 'now');
  onTestFinished(() => clock.mockRestore());
  const now = Date.now();
  meanwhile = async () => {
    clock.mockReturnValue(now);
    await one.revoke(spare.publicKey.kid);
  };
  clock.mockReturnValue(now + 5_000);
  await expect(other.rotate(false)).rejects.toThrow('another control plane changed the signing keys just now');
  // Nor does the new key stay, which nobody trusts.
  const files = () => readdir(join(folder, 'other'));
  expect(await files()).toEqual(['bundle-signing.key']);
  meanwhile = async () => {
    throw new DatabaseUnavailable('it only reads');
  };
  await expect(other.rotate(false)).rejects.toThrow('it only reads');
  expect(await files()).toEqual(['bundle-signing.key']);
  // What may have been written all the same may be all there is of the key.
  meanwhile = async () => {
    throw new DatabaseUnavailable('it was shut down', { uncertain: true });
  };
  await expect(other.rotate(false)).rejects.toThrow('it was shut down');
  expect(await files()).toHaveLength(2);
  await other.follow();
  for (const ring of [one, other]) {
    expect(ring.list().find(({ kid }) => kid === spare.publicKey.kid)?.state).toBe('revoked');
  }
  meanwhile = async () => {};
  const { kid } = await other.rotate(false);
  await one.follow();
  expect(one.keys().signing.publicKey.kid).toBe(kid);
});
