import { createHash } from 'node:crypto';
import { Client, type PoolClient, type QueryConfig } from 'pg';

import { authorStatement } from '../author.ts';
import { asSqlError, type Database, identifier, type Session, type SqlValue, type Statement } from '../database.ts';
import { retrying } from '../retry.ts';
import { ask, insideTransaction, type Send } from '../session.ts';
import { connectionLost, DatabaseUnavailable, explainConnecting } from '../unavailable.ts';
import { Connections } from './connections.ts';
import { Listening } from './listening.ts';
import { clientConfig, type PostgresSettings } from './settings.ts';

/** Why: `NULLS NOT DISTINCT` and `ON DELETE SET NULL (column)` came with 15, the oldest release still maintained. */
const OLDEST_SERVER = 150_000;
/** Any number will do as long as no other program on the database uses it. */
const MAINTENANCE_LOCK = 0x686f6c64;

/** Connects once to tell a wrong setting from a working one, then hands out pooled connections. */
export async function openPostgres(settings: PostgresSettings): Promise<Database> {
  const listening = new Set<Listening>();
  const connections = new Connections(settings, () => {
    for (const each of listening) each.renew();
  });
  try {
    const [version] = await connections.use((client) =>
      ask(sender(client), 'SELECT current_setting($1) AS number', ['server_version_num']),
    );
    if (Number(version?.number) < OLDEST_SERVER) {
      throw new Error(
        `PostgreSQL 15 or newer is needed; ${settings.pg_host}:${settings.pg_port} runs ${version?.number}`,
      );
    }
  } catch (error) {
    await connections.end();
    const reason = explainConnecting(error instanceof DatabaseUnavailable ? (error.cause ?? error) : error);
    throw new Error(`cannot use the database ${place(settings)}: ${reason}`, { cause: error });
  }
  return over(connections, listening, settings);
}

function place({ pg_host, pg_port, pg_database, pg_user }: PostgresSettings): string {
  return `'${pg_database}' at ${pg_host}:${pg_port} as '${pg_user}' (pg_host, pg_port, pg_database, pg_user)`;
}

function over(connections: Connections, listening: Set<Listening>, settings: PostgresSettings): Database {
  return {
    driver: 'postgres',
    concurrent: true,
    pool: () => connections.counts(),
    // One statement is a transaction of its own, so it may be tried again like any other.
    query: (statement, values = []) =>
      retrying(() => connections.use((client) => ask(sender(client, true), statement, values))),
    transaction(work) {
      const author = authorStatement();
      const begin = author === null ? 'BEGIN' : `BEGIN; ${author}`;
      return retrying(() => connections.use((client, giveUp) => transact(client, [begin], work, giveUp)));
    },
    snapshot: (work) =>
      connections.use((client, giveUp) =>
        transact(client, ['BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'], work, giveUp),
      ),
    maintenance: (work) => unhurried(settings, work),
    listen(channels, listener) {
      const own = new Listening(settings, channels, listener);
      listening.add(own);
      return () => {
        listening.delete(own);
        return own.stop();
      };
    },
    async close() {
      await Promise.all([...listening].map((each) => each.stop()));
      await connections.end();
    },
  };
}

/** `commits`: each statement is a transaction, so that one whose answer is lost may have been carried out. */
function sender(client: PoolClient | Client, commits = false): Send {
  return async (statement, values) => {
    try {
      return (await client.query(wire(statement, values))).rows;
    } catch (error) {
      throw asSqlError(error) ?? (isOwnFault(error) ? error : connectionLost(error, commits && !wasNeverSent(error)));
    }
  };
}

/** Not the connection's: a value or a text the driver cannot send. */
function isOwnFault(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError;
}

/** The driver knew that the connection is gone. */
function wasNeverSent(error: unknown): boolean {
  return error instanceof Error && error.message.endsWith('is not queryable');
}

/** PostgreSQL cuts names at 63 bytes, which could make two of them one. */
function wire({ text, name }: Statement, values: readonly SqlValue[]): QueryConfig {
  if (name === undefined) return { text, values: [...values] };
  const short = name.length <= 63 ? name : createHash('sha256').update(name).digest('hex').slice(0, 63);
  return { text, name: short, values: [...values] };
}

/** Ends the transaction one way or the other; a connection of unknown state is given up. */
async function transact<T>(
  client: PoolClient | Client,
  begin: readonly string[],
  work: (inside: Session) => Promise<T>,
  giveUp: () => void,
): Promise<T> {
  const send = sender(client);
  let result: T;
  try {
    for (const text of begin) await ask(send, text, []);
    result = await work(insideTransaction(send));
  } catch (error) {
    // Nothing more can be said over a connection that is lost, and what was open over it is undone.
    if (error instanceof DatabaseUnavailable && error.stale) giveUp();
    else await ask(send, 'ROLLBACK', []).catch(giveUp);
    throw error;
  }
  try {
    await ask(send, 'COMMIT', []);
  } catch (error) {
    giveUp();
    throw error instanceof DatabaseUnavailable ? error.atCommit() : error;
  }
  return result;
}

/** Migrations may rightly take long, so they get a connection of their own without a statement timeout. */
async function unhurried<T>(settings: PostgresSettings, work: (inside: Session) => Promise<T>): Promise<T> {
  const client = new Client(clientConfig(settings));
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
