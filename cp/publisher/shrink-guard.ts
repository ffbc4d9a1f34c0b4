import type { Delta } from '../store/store.ts';
import { changedIds } from './config.ts';
import type { PublishedTable } from './travel.ts';

/** Rows that may be missing without an explanation before it looks like an accident rather than a race. */
const TOLERATED = 100;

/** How an administrator says that the loss is meant. */
const OVERRIDE = 'publish_near_empty = on';

/**
 * Says why a config looks like an accident (an empty database behind the right address, a table lost in a restore),
 * or nothing. Deletes that stand in the log are explained, whatever their number.
 */
export function suspiciousLoss(rows: { before: number; after: number; deleted: number }): string | null {
  const lost = rows.before - rows.after - rows.deleted;
  const emptied = rows.after === 0 && lost > 0;
  const halved = lost > TOLERATED && lost > rows.before / 2;
  if (!emptied && !halved) return null;
  return (
    `the config had ${rows.before} rows and now has ${rows.after}, but only ${rows.deleted} deletes are on record; ` +
    `not publishing it. Check that this is the right database; if the loss is meant, set ${OVERRIDE} and restart`
  );
}

/** Rows the log says were written, yet which are not there. Rows that vanish by themselves do not count. */
export function vanishedRows(delta: Delta, tables: readonly PublishedTable[]): number {
  const changed = changedIds(delta);
  let vanished = 0;
  for (const table of tables) {
    const ids = changed.get(table.name);
    if (ids === undefined || table.ttl) continue;
    const present = new Set((delta.rows.get(table.name) ?? []).map((row) => row.id));
    for (const [id, operation] of ids) if (operation !== 'delete' && !present.has(id)) vanished++;
  }
  return vanished;
}

/** Deletes on record, of rows that do not vanish by themselves. */
export function loggedDeletes(delta: Delta, tables: readonly PublishedTable[]): number {
  const changed = changedIds(delta);
  let deleted = 0;
  for (const table of tables) {
    if (table.ttl) continue;
    for (const operation of changed.get(table.name)?.values() ?? []) if (operation === 'delete') deleted++;
  }
  return deleted;
}
