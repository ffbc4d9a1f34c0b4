import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Milliseconds to wait for one that takes the lock in the same moment. */
const AT_ONCE = 200;

const SQLITE_BUSY = 5;
const SQLITE_NOTADB = 26;

/**
 * Keeps a second process out of a PGlite data directory, which would corrupt it: PGlite itself has no lock.
 *
 * Node offers no file locks, but SQLite does: an exclusive transaction on a small file beside the data is a lock of the
 * operating system, gone the moment its holder dies, however it dies. So nothing is ever stale, process ids may
 * be reused, and it holds across containers that share the disk. The pid file only serves the message.
 */
export function lockDirectory(directory: string): () => void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const pidFile = join(directory, 'pgdata.pid');
  const lock = new DatabaseSync(join(directory, 'pgdata.lock'));
  try {
    // Without patience two that begin at once refuse each other, and nobody has it.
    lock.exec(`PRAGMA busy_timeout = ${AT_ONCE}`);
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (hasCode(error, SQLITE_NOTADB)) {
      throw new Error(`${join(directory, 'pgdata.lock')} is no lock file of Holdfast; remove it (it holds no data)`);
    }
    if (!hasCode(error, SQLITE_BUSY)) throw error;
    throw new Error(
      `the embedded database in ${directory} is in use by process ${readPid(pidFile)}: stop it first, or give this one another prefix`,
    );
  }
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  return () => {
    rmSync(pidFile, { force: true });
    lock.close();
  };
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === code;
}

function readPid(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '(unknown)';
  }
}
