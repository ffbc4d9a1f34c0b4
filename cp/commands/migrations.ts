import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Settings } from '../settings/properties.ts';
import { catalogOf } from '../store/catalog.ts';
import { isBootstrapped, migrate, migrationStatus, reset } from '../store/migrations.ts';
import { openDatabase } from '../store/open.ts';
import { schemasFor } from '../store/schemas.ts';
import { type Command, CommandError, type Invocation, settingsFor, unknownAction } from './command.ts';
import { storeSettings } from './stores.ts';

const FORMS = {
  bootstrap: 'set up an empty database',
  up: 'bring a database to this version',
  finish: "for scripts written for Kong: 'up' leaves nothing to finish here, and this says so",
  list: 'what has run and what has not',
  status: 'the same, with an exit code',
  reset: 'delete everything Holdfast keeps in the database',
};

const ACTIONS = Object.keys(FORMS);

/** The database's schema. */
export const migrations: Command = {
  summary: "the database's schema: bootstrap, up, finish, list, status, reset",
  forms: FORMS,
  options: { yes: { short: 'y', text: 'reset without asking' } },
  examples: ['holdfast migrations bootstrap', 'holdfast migrations up && holdfast migrations finish'],
  exitCodes: { 3: 'status, list: the database is empty', 5: 'status: the database is behind this version' },
  run: runMigrations,
};

async function runMigrations(invocation: Invocation): Promise<void> {
  const [action = ''] = invocation.words;
  if (!ACTIONS.includes(action)) throw unknownAction('migrations', ACTIONS, action);
  const { settings } = settingsFor(invocation);
  if (settings.database === 'off')
    throw new CommandError('database = off has no migrations: start makes what it needs');
  if (action === 'reset' && invocation.options.yes !== true) await confirmed(settings);
  const { tables } = catalogOf(schemasFor(settings.router_flavor));
  const database = await openDatabase(storeSettings(settings));
  try {
    const fresh = !(await isBootstrapped(database));
    if (action === 'reset') {
      await reset(database);
      process.stdout.write(fresh ? 'the database was empty already\n' : 'the database is empty\n');
      return;
    }
    if ((action === 'up' || action === 'finish') && fresh)
      throw new CommandError("the database is empty: run 'holdfast migrations bootstrap'");
    if (action === 'bootstrap' || action === 'up') {
      const done = await migrate(database, tables);
      for (const step of done) process.stdout.write(`done: ${step}\n`);
      process.stdout.write(done.length === 0 ? 'the database is up to date already\n' : 'the database is up to date\n');
      return;
    }
    const { executed, pending, tables: missing } = await migrationStatus(database, tables);
    if (action === 'finish') {
      if (pending.length + missing.length > 0) {
        throw new CommandError("the database is behind this version: run 'holdfast migrations up'");
      }
      process.stdout.write('no pending migrations to finish\n');
      return;
    }
    for (const { name, at } of executed) process.stdout.write(`executed  ${name}  ${at.toISOString()}\n`);
    for (const name of [...pending, ...missing]) process.stdout.write(`pending   ${name}\n`);
    // As with Kong, scripts ask the exit code: 0 up to date, 3 not set up, 5 something to do.
    if (fresh) throw new CommandError("the database is empty: run 'holdfast migrations bootstrap'", 3);
    if (action === 'status' && pending.length + missing.length > 0) {
      throw new CommandError("the database is behind this version: run 'holdfast migrations up'", 5);
    }
  } finally {
    await database.close();
  }
}

/** Asks, as Kong does. Throws `CommandError` unless the person says yes, and where there is no person. */
async function confirmed(settings: Settings): Promise<void> {
  const what =
    settings.database === 'postgres'
      ? `schema '${settings.pg_schema}' of database '${settings.pg_database}' at ${settings.pg_host}`
      : `the embedded database in ${resolve(settings.prefix)}`;
  if (!process.stdin.isTTY) {
    throw new CommandError(`nobody is here to be asked whether to delete all of ${what}: say --yes if that is meant`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`This deletes all of ${what}. Are you sure? [y/N] `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('nothing was deleted');
}
