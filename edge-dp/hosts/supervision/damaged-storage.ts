import { readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../../shared/thrown.ts';
import type { DataPlaneOptions } from '../options.ts';
import { sqliteCode } from '../sqlite-code.ts';

/** SQLite's primary result codes for a file whose content is not what it wrote: SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGE: ReadonlySet<number | null> = new Set([11, 26]);

/**
 * Looks through the databases in `folder` before they are opened, and renames those that are damaged, with
 * a line that says so: a process would not start, or fail at every use, while what they hold can be had again. To be
 * called while no process uses them.
 */
export function setDamagedStorageAside(folder: string, log: DataPlaneOptions['log']): void {
  for (const path of databasesIn(folder)) {
    const damage = damageOf(path, log);
    if (damage === null) continue;
    const aside = `${path}.damaged-${Date.now()}`;
    for (const suffix of ['', '-wal', '-shm']) {
      if (exists(path + suffix)) renameSync(path + suffix, aside + suffix);
    }
    log(
      'error',
      `${path} is damaged (${damage}) and was moved to ${aside}. What it held comes back from the control plane; ` +
        'until then requests may be answered with 503. Check the disk; then the moved file can be deleted',
    );
  }
}

function databasesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.sqlite'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** What is wrong with a database's content; null when it is sound, or cannot be looked at. */
function damageOf(path: string, log: DataPlaneOptions['log']): string | null {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path);
    const verdict: unknown = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
    return verdict === 'ok' ? null : String(verdict);
  } catch (error) {
    const message = messageOf(error);
    if (DAMAGE.has(sqliteCode(error))) return message;
    log('warn', `${path} cannot be checked: ${message}`);
    return null;
  } finally {
    database?.close();
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
