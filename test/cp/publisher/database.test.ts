import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { publishedTables } from '../../../cp/publisher/tables.ts';
import { openDatabase, openStore } from '../../../cp/store/open.ts';
import type { Store } from '../../../cp/store/store.ts';
import { type PostgresServer, startPostgres } from '../../postgres-server.ts';
import { silentRelay } from '../../silent-relay.ts';
import { workspaceOf } from '../store/workspace-of.ts';
import { receive, start } from './publishing.ts';

let server: PostgresServer;
let admin: Client;
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

const opened: Store[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

let databases = 0;
/** A database of its own, with all migrations. */
async function freshDatabase(): Promise<string> {
  const name = `database_${++databases}`;
  await admin.query(`CREATE DATABASE ${name}`);
  await (await openStore({ ...server.settings(), pg_database: name }, { migrate: true })).close();
  return name;
}

async function open(pg_database: string, changes: { pg_port?: number } = {}): Promise<Store> {
  const store = await openStore({ ...server.settings(), pg_database, ...changes });
  opened.push(store);
  return store;
}

async function insert(store: Store, ...names: readonly string[]): Promise<void> {
  const here = await workspaceOf(store);
  for (const name of names) await here.entity('services').insert({ name, host: 'h' });
}

const publish = async (store: Store) => {
  const { publisher, lines } = await start(store.changes, { tables: publishedTables() });
  const services = async () => ((await receive(publisher)).get('services') ?? []).map(({ name }) => name).sort();
  return { publisher, lines, services };
};

describe('control planes on one PostgreSQL', () => {
  test('publish what any of them writes', async () => {
    const database = await freshDatabase();
    const [one, other] = [await open(database), await open(database)];
    const first = await publish(one);
    const second = await publish(other);
    await insert(one, 'a');
    await insert(other, 'b');
    for (const { services } of [first, second]) {
      await expect.poll(services).toEqual(['a', 'b']);
    }
    expect(first.publisher.current().manifest.config_hash).toBe(second.publisher.current().manifest.config_hash);
  });

  test('publish it also when no notification comes, as over a connection that died without a word', async () => {
    const database = await freshDatabase();
    const relay = await silentRelay(server.settings().pg_port);
    const deaf = await publish(await open(database, { pg_port: relay.port }));
    const writer = await open(database);
    await insert(writer, 'before');
    await expect.poll(deaf.services).toEqual(['before']);
    relay.silence();
    await insert(writer, 'after');
    await expect.poll(deaf.services, { timeout: 60_000 }).toEqual(['after', 'before']);
    relay.close();
  });

  test('miss nothing of a transaction that began earlier and commits later than another', async () => {
    const database = await freshDatabase();
    const { services } = await publish(await open(database));
    const writer = await open(database);
    const slow = await workspaceOf(writer);
    await slow.transaction(async (inside) => {
      await inside.entity('services').insert({ name: 'began-first', host: 'h' });
      await insert(writer, 'committed-first');
      await expect.poll(services).toEqual(['committed-first']);
    });
    await expect.poll(services).toEqual(['began-first', 'committed-first']);
  });

  test.each([
    ['behind', []],
    ['just as far', ['x', 'y']],
    ['ahead', ['x', 'y', 'z']],
  ])(
    'publish an older database that took the place of theirs and is %s, whole and under a higher serial',
    async (_, since) => {
      const database = await freshDatabase();
      const before = await openStore({ ...server.settings(), pg_database: database });
      await insert(before, 'a', 'b', 'c');
      await before.close();
      await admin.query(`CREATE DATABASE ${database}_backup TEMPLATE ${database}`);
      const { publisher, services } = await publish(await open(database));
      const backup = await openStore({ ...server.settings(), pg_database: `${database}_backup` });
      await insert(backup, ...since);
      await backup.close();

      await insert(opened[0] ?? expect.fail(), 'd', 'e');
      await expect.poll(services).toEqual(['a', 'b', 'c', 'd', 'e']);
      const held = publisher.current().manifest.serial;
      await admin.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
      await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`);
      await expect
        .poll(() =>
          admin.query(`ALTER DATABASE ${database} RENAME TO ${database}_lost`).then(
            () => true,
            () => false,
          ),
        )
        .toBe(true);
      await admin.query(`ALTER DATABASE ${database}_backup RENAME TO ${database}`);
      await expect.poll(services).toEqual(['a', 'b', 'c', ...since]);
      expect(publisher.current().manifest.serial).toBeGreaterThan(held);
    },
  );
});

test('a connection that breaks inside a transaction fails that transaction, and nothing else', async () => {
  const database = await freshDatabase();
  const store = await open(database);
  const here = await workspaceOf(store);
  const broken = here.transaction(async (inside) => {
    await inside.entity('services').insert({ name: 'lost', host: 'h' });
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`);
    await expect
      .poll(() =>
        inside
          .entity('services')
          .page()
          .then(Boolean, () => false),
      )
      .toBe(false);
    await inside.entity('services').insert({ name: 'lost-too', host: 'h' });
  });
  await expect(broken).rejects.toThrow();
  await insert(store, 'kept');
  expect((await here.entity('services').page()).rows.map(({ name }) => name)).toEqual(['kept']);
});

test('a server that would answer a commit before it is on disk is asked not to', async () => {
  const database = await freshDatabase();
  await admin.query(`ALTER DATABASE ${database} SET synchronous_commit = off`);
  const session = await openDatabase({ ...server.settings(), pg_database: database });
  expect(await session.query('SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'on' }]);
  await session.close();
});
