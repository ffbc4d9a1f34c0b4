import { AsyncLocalStorage } from 'node:async_hooks';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Results, Transaction } from '@electric-sql/pglite';

import { authorStatement } from '../author.ts';
import { asSqlError, type Database, type Session, type SqlRow, type SqlValue } from '../database.ts';
import { lockDirectory } from '../directory-lock.ts';
import { retrying } from '../retry.ts';
import { ask, insideTransaction, type Send } from '../session.ts';
import { DatabaseUnavailable, unavailable } from '../unavailable.ts';
import { describePgliteFailure, isFileFailure } from './failure.ts';
import { PgliteServer } from './server.ts';
import { ServerKeeper } from './server-keeper.ts';

/** Opens (or makes) the embedded PostgreSQL in `prefix`, which this process then owns. */
export async function openPglite(prefix: string): Promise<Database> {
  const unlock = lockDirectory(prefix);
  try {
    const directory = join(prefix, 'pgdata');
    if (!existsSync(directory)) await initialise(directory);
    return overPglite(new ServerKeeper(directory, await startExisting(directory)), unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

async function startExisting(directory: string): Promise<PgliteServer> {
  try {
    return await PgliteServer.start(directory);
  } catch (error) {
    const advice = isFileFailure(error)
      ? 'it starts again once that is mended'
      : 'its files are damaged or of another version; restore them from a backup, or move the folder away to begin with an empty one';
    throw new Error(
      `the embedded database in ${directory} does not start (${describePgliteFailure(error)}): ${advice}`,
      { cause: error },
    );
  }
}

/** Under another name until it is whole: a start that is killed half-way leaves nothing a later one would trip over. */
async function initialise(directory: string): Promise<void> {
  const unfinished = `${directory}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  try {
    await (await PgliteServer.start(unfinished)).close();
    renameSync(unfinished, directory);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw new Error(`the embedded database cannot be made in ${directory}: ${describePgliteFailure(error)}`, {
      cause: error,
    });
  }
}

function overPglite(keeper: ServerKeeper, unlock: () => void): Database {
  const ownTransaction = new AsyncLocalStorage<{ open: boolean }>();
  const send: Send = async ({ text }, values) => {
    if (ownTransaction.getStore()?.open === true) throw new Error(WAITS_FOR_ITSELF);
    return run(() => keeper.database().query<SqlRow>(text, [...values]));
  };
  const transaction = <T>(begin: string, work: (inside: Session) => Promise<T>): Promise<T> => {
    if (ownTransaction.getStore()?.open === true) throw new Error(WAITS_FOR_ITSELF);
    const attempt = async () => {
      let ownError: unknown;
      try {
        return await keeper.database().transaction(async (open) => {
          const state = { open: true };
          try {
            if (begin !== '') await open.query(begin);
            return await ownTransaction.run(state, () => work(insideTransaction(sendWithin(open))));
          } catch (error) {
            ownError = error;
            throw error;
          } finally {
            state.open = false;
          }
        });
      } catch (error) {
        // What the work threw is its own; anything else is the beginning or the end of the transaction.
        throw ownError ?? failure(error);
      }
    };
    return retrying(attempt);
  };
  return {
    driver: 'pglite',
    concurrent: false,
    pool: () => null,
    // One statement is a transaction of its own, so it may be tried again like any other.
    query: (statement, values = []) => retrying(() => ask(send, statement, values)),
    transaction: (work) => transaction(authorStatement() ?? '', work),
    snapshot: (work) => transaction('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY', work),
    maintenance: (work) => transaction('', work),
    listen: (channels, listener) => keeper.listen(channels, listener),
    async close() {
      await keeper.close();
      unlock();
    },
  };
}

/** There is one connection: better an error at once than two parts of one program that wait for each other for ever. */
const WAITS_FOR_ITSELF = 'inside a transaction, the database is reached through the transaction only';

function sendWithin(open: Transaction): Send {
  return ({ text }, values: readonly SqlValue[]) => run(() => open.query<SqlRow>(text, [...values]));
}

async function run(query: () => Promise<Results<SqlRow>>): Promise<SqlRow[]> {
  let answer: Results<SqlRow>;
  try {
    answer = await query();
  } catch (error) {
    throw failure(error);
  }
  await others();
  return answer.rows;
}

/** What the server said in our own form. Whatever else PGlite throws, the database behind it has come to an end. */
function failure(error: unknown): unknown {
  const said = unavailable(error) ?? asSqlError(error);
  if (said !== undefined || error instanceof TypeError || error instanceof RangeError) return said ?? error;
  return new DatabaseUnavailable(`the embedded database fails (${describePgliteFailure(error)})`, { cause: error });
}

/** Milliseconds this thread may be kept from everything else. */
const SHARE = 20;
let turnBegan = 0;

/**
 * The database works in this thread and its answers come without leaving it, so that an import would hold up every heartbeat
 * and every request until its end: between two statements, others get their turn.
 */
async function others(): Promise<void> {
  if (performance.now() - turnBegan < SHARE) return;
  await setImmediate();
  turnBegan = performance.now();
}
