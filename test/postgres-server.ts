import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

import { Client } from 'pg';

import type { StoreSettings } from '../cp/store/open.ts';
import { findPostgres, type PostgresBinaries } from './postgres-binaries.ts';

const run = promisify(execFile);
const USER = 'holdfast';

/** A PostgreSQL server of one's own, with the durability a real one has. */
export interface PostgresServer {
  /** Settings for a store in a schema of this server; each schema is a database of its own as far as a store sees. */
  settings(schema?: string): Extract<StoreSettings, { database: 'postgres' }>;
  /** Kills the server outright, as a power failure of its machine would. */
  kill(): Promise<void>;
  /** Starts it again on the same data. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export async function startPostgres(): Promise<PostgresServer> {
  const scratch = mkdtempSync(join(tmpdir(), 'holdfast-postgres-'));
  chmodSync(scratch, 0o755);
  const binaries = findPostgres(scratch);
  if (binaries.user !== undefined) chownSync(scratch, binaries.user.uid, binaries.user.gid);
  const data = join(scratch, 'data');
  await run(
    join(binaries.folder, 'initdb'),
    ['--pgdata', data, '--username', USER, '--auth', 'trust', '--encoding', 'UTF8', '--locale', 'C', '--no-sync'],
    { ...binaries.user, cwd: scratch, env: {} },
  );
  const port = await freePort();
  let guard = launch(binaries, scratch, port);
  await untilReady(port, scratch);

  const stopGuard = async (after: 'keep' | 'remove'): Promise<void> => {
    if (guard.exitCode !== null || guard.signalCode !== null) return;
    const ended = new Promise((resolve) => guard.once('exit', resolve));
    guard.stdin?.end(`${after}\n`);
    await ended;
  };
  return {
    settings: (schema = 'public') => ({
      database: 'postgres',
      pg_host: '127.0.0.1',
      pg_port: port,
      pg_user: USER,
      pg_password: null,
      pg_database: 'postgres',
      pg_schema: schema,
      pg_ssl: false,
      pg_ssl_verify: false,
      pg_ssl_ca_cert: null,
      pg_timeout: 10_000,
      pg_pool_size: 10,
    }),
    async kill() {
      process.kill(Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]), 'SIGKILL');
      await stopGuard('keep');
    },
    async start() {
      guard = launch(binaries, scratch, port);
      await untilReady(port, scratch);
    },
    async stop() {
      await stopGuard('remove');
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

/**
 * The server runs under a shell that waits for the end of its input and then stops it: however a test ends, even by
 * SIGKILL, the pipe closes and neither a server nor its data stays behind. After a killed server its orphans hold the data for a moment, so it
 * is tried again.
 */
const GUARD = `
  while :; do
    "$1" -D "$2" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=60 -c log_min_messages=fatal 2>"$2.log" &
    server=$!
    sleep 0.2
    kill -0 $server 2>/dev/null && break
  done
  read -r after
  kill -INT $server 2>/dev/null
  wait $server
  [ "$after" = keep ] || rm -rf "$4"
`;

function launch(binaries: PostgresBinaries, scratch: string, port: number): ChildProcess {
  const server = join(binaries.folder, 'postgres');
  return spawn('sh', ['-c', GUARD, 'guard', server, join(scratch, 'data'), String(port), scratch], {
    ...binaries.user,
    cwd: scratch,
    env: { PATH: process.env.PATH },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
}

async function untilReady(port: number, scratch: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const client = new Client({ host: '127.0.0.1', port, user: USER, database: 'postgres' });
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      await client.end().catch(() => {});
      if (tries === 150) {
        throw new Error(`PostgreSQL does not come up: ${readFileSync(join(scratch, 'data.log'), 'utf8')}`, {
          cause: error,
        });
      }
      await pause(100);
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
