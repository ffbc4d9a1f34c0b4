import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import type { Database, Session } from './database.ts';
import { changeLog } from './migrations/001-change-log.ts';
import { nodes } from './migrations/002-nodes.ts';
import { nodesOfControlPlanes } from './migrations/003-nodes-of-control-planes.ts';
import { keysOfNodes } from './migrations/004-keys-of-nodes.ts';
import { sharedRecords } from './migrations/005-shared-records.ts';
import { sharedCounts } from './migrations/006-shared-counts.ts';
import { signingKeys } from './migrations/007-signing-keys.ts';
import { releases } from './migrations/008-releases.ts';
import { telemetry } from './migrations/009-telemetry.ts';
import { historyOfNodes } from './migrations/010-history-of-nodes.ts';
import { releaseParts } from './migrations/011-release-parts.ts';
import { authorsOfChanges } from './migrations/012-authors-of-changes.ts';
import { messages } from './migrations/013-messages.ts';
import type { Migration } from './migrations/migration.ts';
import type { Tables } from './table.ts';
import { missingSteps, type Step } from './table-plan.ts';

/** In order; numbers are never reused. */
const MIGRATIONS: readonly Migration[] = [
  changeLog,
  nodes,
  nodesOfControlPlanes,
  keysOfNodes,
  sharedRecords,
  sharedCounts,
  signingKeys,
  releases,
  telemetry,
  historyOfNodes,
  releaseParts,
  authorsOfChanges,
  messages,
];

/** Any number will do as long as no other program on the database uses it: "holdfast" in ASCII, shortened. */
const MIGRATION_LOCK = 0x686f6c64;

interface MigrationStatus {
  /** Names of the platform's migrations that have run, with the time they did. */
  readonly executed: readonly { readonly name: string; readonly at: Date }[];
  /** Names of those still to run. */
  readonly pending: readonly string[];
  /** What the tables of the entities lack, in plain words; they follow from the schemas and have no numbers. */
  readonly tables: readonly string[];
}

/**
 * Makes everything that is missing, from an empty database on, in one transaction: it is done whole or not at all, and
 * control planes that start at the same time take turns. Returns what was done; nothing when all was there.
 */
export function migrate(database: Database, tables: Tables): Promise<string[]> {
  return database.maintenance(async (session) => {
    await session.query(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`);
    await session.query(`CREATE TABLE IF NOT EXISTS schema_migrations (
      name text PRIMARY KEY, executed_at timestamptz NOT NULL DEFAULT clock_timestamp())`);
    const executed = await executedMigrations(session);
    const done: string[] = [];
    for (const { name, statements } of MIGRATIONS) {
      if (executed.has(name)) continue;
      for (const statement of statements) await session.query(statement);
      await session.query('INSERT INTO schema_migrations (name) VALUES ($1)', [name]);
      done.push(name);
    }
    for (const step of await missingSteps(session, tables)) {
      for (const statement of step.statements) await session.query(statement);
      done.push(step.description);
    }
    await session.query(
      `INSERT INTO workspaces (id, name, created_at, updated_at, meta, config)
       VALUES ($1, $2, extract(epoch FROM now())::bigint, extract(epoch FROM now())::bigint, '{"color":null,"thumbnail":null}', '{}') ON CONFLICT DO NOTHING`,
      [DEFAULT_WORKSPACE.id, DEFAULT_WORKSPACE.name],
    );
    return done;
  });
}

/** Deletes everything that this user has in the current schema, as Kong's does: what was made by this version or an earlier one. */
export function reset(database: Database): Promise<void> {
  return database.maintenance(async (session) => {
    await session.query(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`);
    if (!(await isBootstrapped(session))) return;
    const owned = await session.query(
      `SELECT 'TABLE ' || oid::regclass AS what FROM pg_class
         WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace AND relowner = current_user::regrole
       UNION ALL SELECT 'SEQUENCE ' || oid::regclass FROM pg_class
         WHERE relkind = 'S' AND relnamespace = current_schema()::regnamespace AND relowner = current_user::regrole
       UNION ALL SELECT 'FUNCTION ' || oid::regprocedure FROM pg_proc
         WHERE prokind = 'f' AND pronamespace = current_schema()::regnamespace AND proowner = current_user::regrole`,
    );
    // One may have taken the next with it.
    for (const { what } of owned) await session.query(`DROP ${String(what).replace(' ', ' IF EXISTS ')} CASCADE`);
  });
}

/** What has run and what has not; reads only. */
export async function migrationStatus(session: Session, tables: Tables): Promise<MigrationStatus> {
  const executed = (await isBootstrapped(session)) ? await executedMigrations(session) : new Map<string, Date>();
  const steps: readonly Step[] = await missingSteps(session, tables);
  return {
    executed: [...executed].map(([name, at]) => ({ name, at })),
    pending: MIGRATIONS.map(({ name }) => name).filter((name) => !executed.has(name)),
    tables: steps.map(({ description }) => description),
  };
}

/** False in a database that was never set up. */
export async function isBootstrapped(session: Session): Promise<boolean> {
  const [row] = await session.query(
    `SELECT to_regclass(quote_ident(current_schema()) || '.schema_migrations') IS NOT NULL AS there`,
  );
  return row?.there === true;
}

async function executedMigrations(session: Session): Promise<Map<string, Date>> {
  const rows = await session.query('SELECT name, executed_at FROM schema_migrations ORDER BY name');
  return new Map(rows.map((row) => [String(row.name), new Date(String(row.executed_at))]));
}
