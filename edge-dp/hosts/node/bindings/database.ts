import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

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
