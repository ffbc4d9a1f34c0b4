import type { BundleRow } from '../../shared/bundle/format.ts';
import { writingAlone } from './author.ts';
import type { Catalog } from './catalog.ts';
import { commitAt } from './change-log.ts';
import type { Database, Session, SqlRow } from './database.ts';
import { CHANNELS, type Notifications } from './notifications.ts';
import { fromRecord, workspaceIdOf } from './row-json.ts';
import type { Change, ChangeFeed } from './store.ts';
import type { Table } from './table.ts';

/** Rows per statement. */
const SNAPSHOT_PAGE = 2_000;
/** Milliseconds between looks at the serial, should a notification get lost. */
const POLL_INTERVAL = 5_000;

/** The change log as the publisher reads it, and the stop of its background work. */
export function changeFeed(
  database: Database,
  catalog: Catalog,
  notifications: Notifications,
): { feed: ChangeFeed; stop: () => void } {
  const follower = follow(database, notifications);
  const feed: ChangeFeed = {
    serial: () => currentSerial(database),
    delta: (serial, commit) =>
      database.snapshot(async (session) => {
        if (commit !== undefined && commit !== (await commitAt(session, serial))) return null;
        const changes = await changesSince(session, serial);
        if (changes === null) return null;
        return { ...(await newest(session)), changes, rows: await rowsNamed(session, catalog, changes) };
      }),
    snapshot: (entities) => openSnapshot(database, catalog, entities),
    async advanceTo(serial) {
      const moveOn = async (session: Session): Promise<void> => {
        await session.query(
          // Numbers of shared records are given anew in a restored database, too: nobody must take them for the former ones.
          `UPDATE config_serial SET serial = $1::bigint, records_log = gen_random_uuid() WHERE serial < $1::bigint`,
          [serial],
        );
        // A change set without changes: what follows is one above, and every reader is woken.
        await session.query('SELECT current_change_set()');
      };
      await writingAlone('serials of an older database', () => database.transaction(moveOn));
    },
    subscribe: (onChange) => follower.subscribe(onChange),
  };
  return { feed, stop: () => follower.stop() };
}

async function newest(session: Session): Promise<{ serial: number; commit: string | null }> {
  const serial = await currentSerial(session);
  return { serial, commit: await commitAt(session, serial) };
}

async function currentSerial(session: Session): Promise<number> {
  const [row] = await session.query({
    name: 'serial',
    text: 'SELECT serial::double precision AS serial FROM config_serial',
  });
  return Number(row?.serial ?? 0);
}

/** Null when the log begins later, or when the database is older than the reader. */
async function changesSince(session: Session, serial: number): Promise<Change[] | null> {
  const [state] = await session.query(
    { name: 'log_reaches', text: 'SELECT $1::bigint BETWEEN log_floor AND serial AS reaches FROM config_serial' },
    [serial],
  );
  if (state?.reaches !== true) return null;
  const rows = await session.query(
    {
      name: 'changes_since',
      text: `SELECT s.serial::double precision AS serial, c.entity, c.id, c.operation
        FROM change_sets s JOIN changes c ON c.change_set = s.id WHERE s.serial > $1::bigint ORDER BY s.serial, c.position`,
    },
    [serial],
  );
  return rows.map(toChange);
}

function toChange(row: SqlRow): Change {
  const operation = row.operation;
  if (operation !== 'create' && operation !== 'update' && operation !== 'delete') {
    throw new TypeError(`the change log holds an unknown operation: ${operation}`);
  }
  return { serial: Number(row.serial), entity: String(row.entity), id: String(row.id), operation };
}

async function rowsNamed(
  session: Session,
  catalog: Catalog,
  changes: readonly Change[],
): Promise<Map<string, readonly BundleRow[]>> {
  const named = Map.groupBy(changes, ({ entity }) => entity);
  const rows = new Map<string, readonly BundleRow[]>();
  for (const [entity, its] of named) {
    const table = catalog.tables.get(entity);
    // An entity a newer control plane knows and this one does not.
    if (table === undefined) continue;
    const ids = [...new Set(its.map(({ id }) => id))];
    const found: BundleRow[] = [];
    // In pages: one statement has only so long, and a change may be an import of everything.
    for (let start = 0; start < ids.length; start += SNAPSHOT_PAGE) {
      const page = await session.query(catalog.statements(table).export, [ids.slice(start, start + SNAPSHOT_PAGE)]);
      for (const answer of page) found.push(bundleRow(table, answer));
    }
    rows.set(entity, found);
  }
  return rows;
}

/** Only here a row says which workspace it is of: those who ask within a workspace know, and the Admin API never tells. */
function bundleRow(table: Table, answer: SqlRow): BundleRow {
  const row = fromRecord(table, answer);
  const { id } = row;
  if (typeof id !== 'string') throw new TypeError('a row without id cannot travel');
  return table.workspaced ? { ...row, id, ws_id: workspaceIdOf(answer) } : { ...row, id };
}

type Snapshot = Awaited<ReturnType<ChangeFeed['snapshot']>>;

/**
 * Over a pool the rows stream out of a transaction that stays open until the last one is read or the reader stops. The
 * embedded database has one connection, and a reader that also wants to write would wait for itself: there the rows are
 * gathered first.
 */
async function openSnapshot(database: Database, catalog: Catalog, entities: readonly string[]): Promise<Snapshot> {
  if (!database.concurrent) {
    return database.snapshot(async (session) => {
      const gathered: { entity: string; row: BundleRow }[] = [];
      for await (const item of readTables(session, catalog, entities)) gathered.push(item);
      return { ...(await newest(session)), rows: asyncly(gathered) };
    });
  }
  const opened = Promise.withResolvers<Snapshot>();
  const finished = Promise.withResolvers<void>();
  const transaction = database.snapshot(async (session) => {
    const at = await newest(session);
    opened.resolve({ ...at, rows: closing(readTables(session, catalog, entities), finished.resolve) });
    await finished.promise;
  });
  transaction.catch((error: unknown) => opened.reject(error));
  return opened.promise;
}

async function* readTables(
  session: Session,
  catalog: Catalog,
  entities: readonly string[],
): AsyncGenerator<{ entity: string; row: BundleRow }> {
  for (const entity of entities) {
    const table = catalog.table(entity);
    let after: string | null = null;
    for (;;) {
      const page: SqlRow[] = await session.query(catalog.statements(table).exportPage, [after, SNAPSHOT_PAGE]);
      for (const answer of page) {
        const row = bundleRow(table, answer);
        after = row.id;
        yield { entity, row };
      }
      if (page.length < SNAPSHOT_PAGE) break;
    }
  }
}

async function* closing<T>(items: AsyncGenerator<T>, onEnd: () => void): AsyncGenerator<T> {
  try {
    yield* items;
  } finally {
    onEnd();
  }
}

async function* asyncly<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

/** Wakes subscribers after commits: by notification, and by looking, since notifications can get lost. */
function follow(database: Database, notifications: Notifications) {
  const subscribers = new Set<() => void>();
  const wake = (): void => {
    for (const onChange of [...subscribers]) onChange();
  };
  let seen: number | undefined;
  let unsubscribe: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;

  const look = async (): Promise<void> => {
    const now = await currentSerial(database);
    if (now !== seen) wake();
    seen = now;
  };
  const start = (): void => {
    unsubscribe = notifications.subscribe(CHANNELS.changes, wake);
    if (database.concurrent) {
      // A database that cannot be reached is no news: the notifications say so, and wake everyone when it is back.
      timer = setInterval(() => void look().catch(() => {}), POLL_INTERVAL);
      timer.unref();
    }
  };
  return {
    subscribe(onChange: () => void): () => void {
      if (unsubscribe === undefined) start();
      subscribers.add(onChange);
      return () => void subscribers.delete(onChange);
    },
    stop(): void {
      clearInterval(timer);
      unsubscribe?.();
      subscribers.clear();
    },
  };
}

/** Drops the log's oldest entries once it holds more than `most`, whole transactions only. */
export async function pruneChanges(database: Database, most: number): Promise<void> {
  await database.transaction(async (session) => {
    const [oldest] = await session.query(
      `SELECT max(s.serial)::double precision AS serial FROM change_sets s JOIN changes c ON c.change_set = s.id
       WHERE c.position <= (SELECT max(position) FROM changes) - $1::bigint`,
      [most],
    );
    const floor = oldest?.serial;
    if (typeof floor !== 'number') return;
    await session.query(
      // The commit at the floor itself is kept, so that those who read up to there know the database again.
      `WITH dropped AS (SELECT id FROM change_sets WHERE serial <= $1::bigint),
         gone AS (DELETE FROM change_sets WHERE serial < $1::bigint)
       DELETE FROM changes USING dropped WHERE change_set = dropped.id`,
      [floor],
    );
    await session.query('UPDATE config_serial SET log_floor = greatest(log_floor, $1::bigint)', [floor]);
  });
}
