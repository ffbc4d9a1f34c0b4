import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';

import { openStore } from '../../../cp/store/open.ts';
import type { Store, Workspace } from '../../../cp/store/store.ts';
import { DatabaseUnavailable } from '../../../cp/store/unavailable.ts';
import { type PostgresServer, startPostgres } from '../../postgres-server.ts';
import { refusal } from './drivers.ts';
import { workspaceOf } from './workspace-of.ts';

const WRITERS = 8;

let server: PostgresServer;
/** An administrator at another connection. */
let administrator: Client;
let store: Store;
let here: Workspace;

beforeAll(async () => {
  server = await startPostgres();
  administrator = await connect();
  await (await openStore(server.settings(), { migrate: true })).close();
});
afterAll(async () => {
  await administrator?.end();
  await server?.stop();
});
beforeEach(async () => {
  store = await openStore(server.settings());
  here = await workspaceOf(store);
});
afterEach(() => store?.close());

async function connect(): Promise<Client> {
  const { pg_host, pg_port, pg_user, pg_database } = server.settings();
  const client = new Client({ host: pg_host, port: pg_port, user: pg_user, database: pg_database });
  await client.connect();
  return client;
}

/** What sessions that begin from now on may do; those that are open stay as they are, as after a failover. */
function newSessionsOnlyRead(only: boolean) {
  return administrator.query(
    `ALTER DATABASE postgres ${only ? 'SET default_transaction_read_only = on' : 'RESET default_transaction_read_only'}`,
  );
}

/** Has as many connections open as there are writers. */
function fillPool() {
  return Promise.all(
    Array.from({ length: WRITERS }, () => here.transaction((inside) => inside.entity('services').page())),
  );
}

async function backends(condition: string): Promise<number[]> {
  const { rows } = await administrator.query(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'holdfast' AND ${condition} ORDER BY pid`,
  );
  return rows.map((row: { pid: number }) => row.pid);
}

/** As a server does that is shut down. */
const terminate = (pids: readonly number[]) =>
  administrator.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [pids]);

const write = (username: string) => here.entity('consumers').insert({ username });
const names = async () => (await here.entity('consumers').page({ size: 1000 })).rows.map(({ username }) => username);

it('says that the database only reads, and writes at once over new connections when it is the one that writes', async () => {
  await store.close();
  await newSessionsOnlyRead(true);
  store = await openStore(server.settings());
  here = await workspaceOf(store);
  store.changes.subscribe(() => {});
  await expect.poll(() => backends(`query LIKE 'LISTEN%'`), { message: 'the listening connection' }).toHaveLength(1);
  const [listening] = await backends(`query LIKE 'LISTEN%'`);
  await fillPool();
  const refused = await refusal(write('too early'));
  expect(refused).toBeInstanceOf(DatabaseUnavailable);
  expect(String(refused)).toMatch(/not available: it only reads, .*pg_host/);
  expect(await names()).toEqual([]);
  expect(await store.condition(5_000)).toEqual({ reachable: true, reason: 'it only reads, as a standby does' });

  await fillPool();
  await newSessionsOnlyRead(false);
  // A plain statement, a transaction, and one with savepoints inside.
  await Promise.all(
    Array.from({ length: WRITERS }, (_, n) => [
      write(`plain ${n}`),
      here.transaction((inside) => inside.entity('consumers').insert({ username: `whole ${n}` })),
      here.entity('consumers').insertMany([{ username: `many ${n}` }]),
    ]).flat(),
  );
  expect(await names()).toHaveLength(3 * WRITERS);
  await expect
    .poll(() => backends(`query LIKE 'LISTEN%'`), { message: 'a new listening connection' })
    .not.toEqual([listening]);
});

it('does work again whose connection was closed before its end, once', async () => {
  let runs = 0;
  await here.transaction(async (inside) => {
    runs += 1;
    await inside.entity('consumers').insert({ username: `run ${runs}` });
    if (runs === 1) await terminate(await backends(`state = 'idle in transaction'`));
    await inside.entity('consumers').insert({ username: `end of run ${runs}` });
  });
  expect(runs).toBe(2);
  expect((await names()).filter((name) => String(name).includes('run'))).toEqual(
    expect.arrayContaining(['run 2', 'end of run 2']),
  );
  expect(await names()).not.toContain('run 1');
});

it('does not do again what may have been committed, and says so', async () => {
  // Commits wait for the row that numbers them.
  const holder = await connect();
  await holder.query('BEGIN; SELECT FROM config_serial FOR UPDATE');
  let runs = 0;
  const committing = refusal(
    here.transaction(async (inside) => {
      runs += 1;
      await inside.entity('consumers').insert({ username: 'in doubt' });
    }),
  );
  const stuck = () => backends(`wait_event_type = 'Lock' AND query = 'COMMIT'`);
  await expect.poll(stuck, { message: 'the commit to wait' }).toHaveLength(1);
  await terminate(await stuck());
  await holder.end();
  expect(await committing).toMatchObject({ name: 'DatabaseUnavailable', uncertain: true });
  expect(runs).toBe(1);
});
