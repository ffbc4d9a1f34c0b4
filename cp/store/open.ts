import { catalogOf, type Schemas } from './catalog.ts';
import { changeFeed } from './change-feed.ts';
import { changeLog } from './change-log.ts';
import { ConditionWatch } from './condition.ts';
import type { Database } from './database.ts';
import { expirations } from './expirations.ts';
import { keepHouse } from './housekeeping.ts';
import { luaPlugins, NO_LUA_PLUGINS } from './lua-plugins.ts';
import { controlPlaneMessages } from './messages.ts';
import { migrate, migrationStatus } from './migrations.ts';
import { nodeRegistry } from './nodes.ts';
import { notifications } from './notifications.ts';
import type { StoreLog } from './outage.ts';
import { openPglite } from './pglite/open.ts';
import { openPostgres } from './postgres/open.ts';
import type { PostgresSettings } from './postgres/settings.ts';
import { releaseStore } from './releases.ts';
import { schemas as ownSchemas } from './schemas.ts';
import { sharedCounts } from './shared-counts.ts';
import { sharedRecords } from './shared-records.ts';
import { signingKeyLog } from './signing-keys.ts';
import type { Store } from './store.ts';
import { telemetryHistory } from './telemetry.ts';
import { findWorkspace } from './workspaces.ts';

/** Where the data is: `embedded` in `<prefix>/pgdata`, or a PostgreSQL server of version 15 or newer. */
export type StoreSettings =
  | { readonly database: 'embedded'; readonly prefix: string }
  | ({ readonly database: 'postgres' } & PostgresSettings);

interface OpenOptions {
  /** Bring the database up to date first, from nothing if need be. */
  readonly migrate?: boolean;
  /** Other entities than the project's own. */
  readonly schemas?: Schemas;
  /** Told of trouble in the background, once when it begins and once when it is over, and of deprecated fields in writes. */
  readonly log?: StoreLog;
}

/** Opens the database alone, for migrations. */
export function openDatabase(settings: StoreSettings): Promise<Database> {
  return settings.database === 'embedded' ? openPglite(settings.prefix) : openPostgres(settings);
}

/**
 * Opens the store. Throws when the database cannot be reached, is in use by another process (embedded), or lacks
 * migrations.
 */
export async function openStore(settings: StoreSettings, options: OpenOptions = {}): Promise<Store> {
  const log = options.log ?? (() => {});
  const catalog = catalogOf(options.schemas ?? ownSchemas, log);
  const opened = await openDatabase(settings);
  const watch = new ConditionWatch(opened, settings.database === 'embedded' ? settings.prefix : null);
  const database = watch.watched();
  try {
    if (options.migrate === true) await migrate(database, catalog.tables);
    else await requireUpToDate(database, catalog.tables);
  } catch (error) {
    await database.close();
    throw error;
  }
  const heard = notifications(database, log);
  const changes = changeFeed(database, catalog, heard);
  const stopKeepingHouse = keepHouse(database, catalog, log);
  return {
    driver: database.driver,
    workspace: (name) => findWorkspace(catalog, database, name),
    luaPlugins: catalog.context.luaPlugins === false ? NO_LUA_PLUGINS : luaPlugins(database),
    changes: changes.feed,
    log: changeLog(database, catalog.tables),
    nodes: nodeRegistry(database),
    messages: controlPlaneMessages(database, heard),
    records: sharedRecords(database, catalog, heard),
    counts: sharedCounts(database),
    signingKeys: signingKeyLog(database, heard),
    releases: releaseStore(database),
    telemetry: telemetryHistory(database),
    expirations: expirations(database),
    condition: (limit) => watch.look(limit),
    figures: watch.figures,
    pool: () => database.pool(),
    async close() {
      stopKeepingHouse();
      changes.stop();
      await heard.stop();
      await database.close();
    },
  };
}

async function requireUpToDate(database: Database, tables: Parameters<typeof migrationStatus>[1]): Promise<void> {
  const { executed, pending, tables: missing } = await migrationStatus(database, tables);
  if (executed.length === 0) throw new Error('the database is empty: run `holdfast migrations bootstrap`');
  const lacking = [...pending, ...missing];
  if (lacking.length > 0) {
    const [first] = lacking;
    throw new Error(
      `the database lacks ${lacking.length} migration steps (first: ${first}): run \`holdfast migrations up\``,
    );
  }
}
