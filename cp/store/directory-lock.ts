import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const SQLITE_BUSY = 5;

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
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (!isBusy(error)) throw error;
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

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

function readPid(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '(unknown)';
  }
}
