import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../../../shared/thrown.ts';
import { sqliteCode } from '../../sqlite-code.ts';

/** Milliseconds to wait for another process of the node that writes. */
const BUSY = 5_000;
/** Milliseconds between two tries of what SQLite does not wait for itself. */
const AGAIN = 5;

const SQLITE_BUSY = 5;

/**
 * Opens one of the node's databases, made where it is not there. Several processes may have it open: with a write-ahead log
 * readers do not wait for the writer, and a process that is killed loses nothing that it had written.
 */
export function openDatabase(folder: string, name: string): DatabaseSync {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(folder, `${name}.sqlite`));
  database.exec(`PRAGMA busy_timeout = ${BUSY}`);
  writeAhead(database);
  database.exec('PRAGMA synchronous = NORMAL');
  return database;
}

/**
 * Of two processes that ask a new database for a write-ahead log at once, SQLite refuses one without waiting: both read it, and each
 * would wait for the other to stop. The one that is refused finds it done when it asks again.
 */
function writeAhead(database: DatabaseSync): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (const deadline = performance.now() + BUSY; ; Atomics.wait(pause, 0, 0, AGAIN)) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      if (sqliteCode(error) !== SQLITE_BUSY || performance.now() > deadline) throw error;
    }
  }
}

/** Does what writes, outside a transaction: what it commits, and whatever was committed there before, is on the disk when it returns. */
export function durably<T>(database: DatabaseSync, write: () => T): T {
  database.exec('PRAGMA synchronous = FULL');
  try {
    return write();
  } finally {
    database.exec('PRAGMA synchronous = NORMAL');
  }
}

/** SQLite's primary result codes for what a disk does not do (sqlite3.h). */
const TROUBLE: Readonly<Record<number, string>> = {
  8: 'READONLY',
  10: 'IOERR',
  11: 'CORRUPT',
  13: 'FULL',
  14: 'CANTOPEN',
  26: 'NOTADB',
};

/** Does what writes; throws what it throws. What the disk refused is logged as workerd logs it, which the supervisor knows to explain. */
export function written<T>(write: () => T): T {
  try {
    return write();
  } catch (error) {
    const name = TROUBLE[sqliteCode(error) ?? 0];
    if (name !== undefined) console.error(`SQLite failed; write = ${messageOf(error)}: SQLITE_${name}`);
    throw error;
  }
}
