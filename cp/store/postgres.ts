import { createHash } from 'node:crypto';
import { Client, type ClientConfig, Pool, type PoolClient, type QueryConfig } from 'pg';
import { messageOf } from '../../shared/thrown.ts';

import {
  asSqlError,
  type Database,
  identifier,
  type Listener,
  type Session,
  type SqlValue,
  type Statement,
} from './database.ts';
import { retrying } from './retry.ts';
import { ask, insideTransaction, type Send } from './session.ts';

/** A PostgreSQL server, in the words of the settings. Timeouts in milliseconds. */
export interface PostgresSettings {
  readonly pg_host: string;
  readonly pg_port: number;
  readonly pg_user: string;
  readonly pg_password: string | null;
  readonly pg_database: string;
  readonly pg_schema: string;
  readonly pg_ssl: boolean;
  readonly pg_ssl_verify: boolean;
  /** PEM text of the authorities to trust instead of Node's own. */
  readonly pg_ssl_ca_cert: string | null;
  /** For connecting, and for any one statement outside migrations. */
  readonly pg_timeout: number;
  /** Connections at most, beside the one that listens. */
  readonly pg_pool_size: number;
}

/** Why: `NULLS NOT DISTINCT` and `ON DELETE SET NULL (column)` came with 15, the oldest release still maintained. */
const OLDEST_SERVER = 150_000;
/** Any number will do as long as no other program on the database uses it. */
const MAINTENANCE_LOCK = 0x686f6c64;
/** Milliseconds. */
const KEEP_ALIVE = 30_000;
const RECONNECT_FIRST = 200;
const RECONNECT_MOST = 10_000;

/** With it off, the server answers a commit before that is on disk, and we would acknowledge what a crash then loses. */
const DURABLE = `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`;

/** Connects once to tell a wrong setting from a working one, then hands out pooled connections. */
export async function openPostgres(settings: PostgresSettings): Promise<Database> {
  const pool = new Pool({
    ...connection(settings),
    max: settings.pg_pool_size,
    statement_timeout: settings.pg_timeout,
    // The server ends a slow statement first; this one is for a server that no longer answers at all.
    query_timeout: settings.pg_timeout + 5_000,
    idle_in_transaction_session_timeout: 60_000,
    onConnect: async (client) => {
      // The pool itself listens only while a connection is idle; one that breaks inside a transaction would end the process.
      client.on('error', () => {});
      await client.query(`SET search_path = ${identifier(settings.pg_schema)}`);
      await client.query(DURABLE);
    },
  });
  // An idle connection that breaks is simply replaced.
  pool.on('error', () => {});
  try {
    const [version] = (await pool.query('SHOW server_version_num')).rows;
    if (Number(version?.server_version_num) < OLDEST_SERVER) {
      throw new Error(
        `PostgreSQL 15 or newer is needed; ${settings.pg_host}:${settings.pg_port} runs ${version?.server_version_num}`,
      );
    }
  } catch (error) {
    await pool.end();
    throw new Error(`cannot use the database ${place(settings)}: ${explain(error)}`, { cause: error });
  }
  return overPool(pool, settings);
}

function place({ pg_host, pg_port, pg_database, pg_user }: PostgresSettings): string {
  return `'${pg_database}' at ${pg_host}:${pg_port} as '${pg_user}' (pg_host, pg_port, pg_database, pg_user)`;
}

/** Node's own words for a failed connection are a code, or nothing when a name has several addresses. */
function explain(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ECONNREFUSED') return 'connection refused; is the server running?';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'the name of the server does not resolve';
  if (code === '28P01') return `${error instanceof Error ? error.message : ''}; see pg_password`;
  return messageOf(error);
}

function overPool(pool: Pool, settings: PostgresSettings): Database {
  const send: Send = async (statement, values) => (await pool.query(wire(statement, values))).rows;
  const listening = new Set<() => Promise<void>>();
  return {
    driver: 'postgres',
    concurrent: true,
    // One statement is a transaction of its own, so it may be tried again like any other.
    query: (statement, values = []) => retrying(() => ask(send, statement, values)),
    transaction: (work) => retrying(() => within(pool, ['BEGIN'], work)),
    snapshot: (work) => within(pool, ['BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'], work),
    maintenance: (work) => unhurried(settings, work),
    listen(channels, listener) {
      const stop = follow(settings, channels, listener);
      listening.add(stop);
      return () => {
        listening.delete(stop);
        return stop();
      };
    },
    async close() {
      await Promise.all([...listening].map((stop) => stop()));
      await pool.end();
    },
  };
}

/** PostgreSQL cuts names at 63 bytes, which could make two of them one. */
function wire({ text, name }: Statement, values: readonly SqlValue[]): QueryConfig {
  if (name === undefined) return { text, values: [...values] };
  const short = name.length <= 63 ? name : createHash('sha256').update(name).digest('hex').slice(0, 63);
  return { text, name: short, values: [...values] };
}

async function within<T>(pool: Pool, begin: readonly string[], work: (inside: Session) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    return await transact(client, begin, work, (error) => {
      broken = error;
    });
  } finally {
    client.release(broken);
  }
}

/** Ends the transaction one way or the other; a connection of unknown state is reported to `onBroken`. */
async function transact<T>(
  client: PoolClient | Client,
  begin: readonly string[],
  work: (inside: Session) => Promise<T>,
  onBroken: (error: Error) => void,
): Promise<T> {
  const send: Send = async (statement, values) => (await client.query(wire(statement, values))).rows;
  try {
    for (const text of begin) await client.query(text);
    const result = await work(insideTransaction(send));
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(onBroken);
    throw asSqlError(error) ?? error;
  }
}

/** Migrations may rightly take long, so they get a connection of their own without a statement timeout. */
async function unhurried<T>(settings: PostgresSettings, work: (inside: Session) => Promise<T>): Promise<T> {
  const client = new Client(connection(settings));
  client.on('error', () => {});
  await client.connect();
  try {
    return await transact(
      client,
      ['BEGIN'],
      (session) => inSchema(session, settings.pg_schema, work),
      () => {},
    );
  } finally {
    await client.end().catch(() => {});
  }
}

/** One after the other, across all control planes: even making the schema is a race otherwise. */
async function inSchema<T>(session: Session, schema: string, work: (inside: Session) => Promise<T>): Promise<T> {
  await session.query(`SELECT pg_advisory_xact_lock(${MAINTENANCE_LOCK})`);
  const [there] = await session.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema]);
  // Only when missing: the right to make schemas is not needed to use one.
  if (there === undefined) await session.query(`CREATE SCHEMA ${identifier(schema)}`);
  await session.query(`SET LOCAL search_path = ${identifier(schema)}`);
  return work(session);
}

/** Listens on a connection of its own and makes a new one, ever more patiently, when that breaks. */
function follow(
  settings: PostgresSettings,
  channels: readonly string[],
  { message, connected, outage }: Listener,
): () => Promise<void> {
  let stopped = false;
  let client: Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let wait = RECONNECT_FIRST;

  const connect = async (): Promise<void> => {
    const next = new Client(connection(settings));
    client = next;
    next.on('notification', ({ channel, payload }) => message(channel, payload ?? ''));
    next.on('error', (error) => again(next, error));
    next.on('end', () => again(next, new Error('the connection was closed')));
    try {
      await next.connect();
      for (const channel of channels) await next.query(`LISTEN ${identifier(channel)}`);
      if (stopped) return;
      wait = RECONNECT_FIRST;
      outage.worked();
      connected();
    } catch (error) {
      again(next, error);
    }
  };
  const again = (broken: Client, error: unknown): void => {
    if (stopped || broken !== client) return;
    client = undefined;
    outage.failed(error);
    broken.end().catch(() => {});
    timer = setTimeout(() => void connect(), wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, RECONNECT_MOST);
  };

  void connect();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await client?.end().catch(() => {});
  };
}

function connection(settings: PostgresSettings): ClientConfig {
  return {
    host: settings.pg_host,
    port: settings.pg_port,
    user: settings.pg_user,
    database: settings.pg_database,
    application_name: 'holdfast',
    connectionTimeoutMillis: settings.pg_timeout,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE,
    ...(settings.pg_password === null ? {} : { password: settings.pg_password }),
    ...(settings.pg_ssl
      ? {
          ssl: {
            rejectUnauthorized: settings.pg_ssl_verify,
            ...(settings.pg_ssl_ca_cert === null ? {} : { ca: settings.pg_ssl_ca_cert }),
          },
        }
      : {}),
  };
}
