import { authorText, tellAuthor, writingAlone } from './author.ts';
import type { Catalog } from './catalog.ts';
import { pruneChanges } from './change-feed.ts';
import { type Database, identifier } from './database.ts';
import { purgeMessages } from './messages.ts';
import { outage, type StoreLog } from './outage.ts';
import { purgeRecords } from './record-room.ts';
import { purgeCounts } from './shared-counts.ts';
import { purgeTelemetry } from './telemetry.ts';

/** Milliseconds between rounds; reads leave out what has run out in the meantime. */
const INTERVAL = 15_000;
/** Changes the log keeps: enough for any reader that was away for a while, a few tens of megabytes at most. */
const LONGEST_LOG = 100_000;
/** Changed rows after which an embedded database's statistics are taken anew. */
const STALE_STATISTICS = 500;
/** Rows of telemetry deleted after which an embedded database, which has no autovacuum, gives their room free. */
const VACUUM_AFTER = 20_000;

/** Removes rows whose time is up (a logged change like any other) and keeps the log short, until stopped. */
export function keepHouse(database: Database, catalog: Catalog, log: StoreLog, interval = INTERVAL): () => void {
  const state = outage(log, 'removing rows whose time is up, and old entries of the change log,');
  let busy = false;
  let analysed = 0;
  let gone = 0;
  const round = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      await purgeExpired(database, catalog);
      await purgeRecords(database);
      await purgeCounts(database);
      await purgeMessages(database);
      await pruneChanges(database, LONGEST_LOG);
      gone += await purgeTelemetry(database);
      if (database.driver === 'pglite' && gone >= VACUUM_AFTER) {
        await database.query('VACUUM telemetry');
        gone = 0;
      }
      if (database.driver === 'pglite') analysed = await renewStatistics(database, analysed);
      state.worked();
    } catch (error) {
      state.failed(error);
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(() => void round(), interval);
  timer.unref();
  return () => clearInterval(timer);
}

/** Removes every row whose time is up. Several control planes may do so at once without waiting for each other. */
export function purgeExpired(database: Database, catalog: Catalog): Promise<void> {
  return writingAlone('rows whose time is up', () => purge(database, catalog));
}

async function purge(database: Database, catalog: Catalog): Promise<void> {
  for (const table of catalog.tables.values()) {
    if (!table.expires) continue;
    const name = identifier(table.name);
    const key = identifier(table.key);
    await database.query(
      `DELETE FROM ${name} WHERE ${key} IN (
        SELECT ${key} FROM ${name} WHERE "expires_at" <= now() LIMIT 5000 FOR UPDATE SKIP LOCKED)
        AND ${tellAuthor(1)} IS NOT NULL`,
      [authorText()],
    );
  }
  await database.query('DELETE FROM nodes WHERE expires_at <= now()');
}

/**
 * Takes the planner's statistics anew when enough rows changed since `analysed`, a position in the change log; returns the
 * position they are good for. A server's autovacuum does this by itself. PGlite has none, and without statistics a page of a
 * large table is read by sorting the whole of it.
 */
export async function renewStatistics(database: Database, analysed: number): Promise<number> {
  const [row] = await database.query('SELECT coalesce(max(position), 0) AS position FROM changes');
  const position = Number(row?.position);
  if (position - analysed < STALE_STATISTICS) return analysed;
  await database.query('ANALYZE');
  return position;
}
