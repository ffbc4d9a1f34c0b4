import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  admin,
  type ClusterFolder,
  createCluster,
  type RunningControlPlane,
  type RunningDataPlane,
  runHoldfast,
} from '../e2e/processes.ts';
import { type PostgresServer, startPostgres } from '../postgres-server.ts';
import { peerExecutable } from './peer.ts';

const run = promisify(execFile);
const SETTLED = { timeout: 60_000 };

let server: PostgresServer;
let cluster: ClusterFolder;
let node: RunningDataPlane;
let control: RunningControlPlane;
let database: Record<string, string>;

beforeAll(async () => {
  server = await startPostgres();
  const { pg_host, pg_port, pg_user, pg_database } = server.settings();
  database = { database: 'postgres', pg_host, pg_port: String(pg_port), pg_user, pg_database };
  cluster = await createCluster();
  await cluster.migrations(database);
  control = await cluster.controlPlane(database);
  node = await cluster.dataPlane('edge', { data_plane_host: 'node' });
});
afterAll(async () => {
  await Promise.all([node?.end('SIGTERM'), control?.end('SIGTERM')]);
  await server?.stop();
  cluster?.remove();
});

const answers = async (path: string) => (await fetch(node.proxy + path).catch(() => null))?.status;

async function route(name: string): Promise<void> {
  await admin(`${control.admin}/routes/${name}`, 'PUT', { paths: [`/${name}`] });
  await admin(`${control.admin}/routes/${name}/plugins`, 'POST', {
    name: 'request-termination',
    config: { status_code: 200 },
  });
}

const ofServer = () => {
  const { pg_host = '', pg_port = '', pg_user = '' } = database;
  return ['--host', pg_host, '--port', pg_port, '--username', pg_user, '--dbname', database.pg_database ?? ''];
};

it('a control plane on PostgreSQL is backed up while it runs, and restored as docs/backup.md says', async () => {
  await route('kept');
  await expect.poll(() => answers('/kept'), SETTLED).toBe(200);
  const dump = join(cluster.path, 'holdfast.dump');
  await run(peerExecutable('pg_dump'), [...ofServer(), '--format=custom', `--file=${dump}`]);
  await route('lost');
  await expect.poll(() => answers('/lost'), SETTLED).toBe(200);

  await control.end('SIGTERM');
  expect(await answers('/lost')).toBe(200);
  await run(peerExecutable('pg_restore'), [...ofServer(), '--clean', '--if-exists', '--single-transaction', dump]);
  control = await cluster.controlPlane(database);
  await expect.poll(() => answers('/lost'), SETTLED).toBe(404);
  expect(await answers('/kept')).toBe(200);
  await expect
    .poll(() => control.output(), SETTLED)
    .toMatch(/was an older one restored\?.*continuing at (serial )?\d+/);
});

it('a database of an earlier version is brought up to date as docs/upgrade.md says, while data planes serve', async () => {
  await control.end('SIGTERM');
  const { pg_host, pg_port, pg_user: user, pg_database: name } = server.settings();
  const client = new Client({ host: pg_host, port: pg_port, user, database: name });
  await client.connect();
  await client.query('ALTER TABLE services DROP COLUMN tls_verify_depth');
  await client.end();
  const settings = { ...database, prefix: cluster.path };

  expect(await runHoldfast(['migrations', 'status'], settings)).toMatchObject({ code: 5 });
  await expect(cluster.controlPlane(database)).rejects.toThrow(/lacks 1 migration steps.*run `holdfast migrations up`/);
  expect(await answers('/kept')).toBe(200);
  expect(await runHoldfast(['migrations', 'up'], settings)).toMatchObject({ code: 0 });
  expect(await runHoldfast(['migrations', 'status'], settings)).toMatchObject({ code: 0 });
  control = await cluster.controlPlane(database);
  await route('after');
  await expect.poll(() => answers('/after'), SETTLED).toBe(200);
});
