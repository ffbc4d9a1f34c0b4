import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../../../shared/thrown.ts';

/** Milliseconds to wait for another process of the node that writes. */
const BUSY = 5_000;

/**
 * Opens one of the node's databases, made where it is not there. Several processes may have it open: with a write-ahead log
 * readers do not wait for the writer, and a process that is killed loses nothing that it had written.
 */
export function openDatabase(folder: string, name: string): DatabaseSync {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(folder, `${name}.sqlite`));
  database.exec(`PRAGMA busy_timeout = ${BUSY}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;`);
  return database;
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
    const code: unknown = error instanceof Error && 'errcode' in error ? error.errcode : null;
    // Extended codes carry the primary one in their low byte.
    const name = typeof code === 'number' ? TROUBLE[code & 0xff] : undefined;
    if (name !== undefined) console.error(`SQLite failed; write = ${messageOf(error)}: SQLITE_${name}`);
    throw error;
  }
}
