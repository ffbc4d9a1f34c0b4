import { catalogOf } from '../store/catalog.ts';
import { isBootstrapped, migrate, migrationStatus } from '../store/migrations.ts';
import { openDatabase } from '../store/open.ts';
import { schemasFor } from '../store/schemas.ts';
import { CommandError, type Invocation, settingsFor, unknownAction } from './command.ts';
import { storeSettings } from './stores.ts';

const ACTIONS = ['bootstrap', 'up', 'list', 'status'];

/** `holdfast migrations bootstrap|up|list|status` */
export async function migrations(invocation: Invocation): Promise<void> {
  const [action = ''] = invocation.words;
  if (!ACTIONS.includes(action)) throw unknownAction('migrations', ACTIONS, action);
  const { settings } = settingsFor(invocation);
  const { tables } = catalogOf(schemasFor(settings.router_flavor));
  const database = await openDatabase(storeSettings(settings));
  try {
    const fresh = !(await isBootstrapped(database));
    if (action === 'up' && fresh) throw new CommandError("the database is empty: run 'holdfast migrations bootstrap'");
    if (action === 'bootstrap' || action === 'up') {
      const done = await migrate(database, tables);
      for (const step of done) process.stdout.write(`done: ${step}\n`);
      process.stdout.write(done.length === 0 ? 'the database is up to date already\n' : 'the database is up to date\n');
      return;
    }
    const { executed, pending, tables: missing } = await migrationStatus(database, tables);
    for (const { name, at } of executed) process.stdout.write(`executed  ${name}  ${at.toISOString()}\n`);
    for (const name of [...pending, ...missing]) process.stdout.write(`pending   ${name}\n`);
    // As with Kong, scripts ask the exit code: 0 up to date, 3 not set up, 5 something to do.
    if (action === 'status' && fresh)
      throw new CommandError("the database is empty: run 'holdfast migrations bootstrap'", 3);
    if (action === 'status' && pending.length + missing.length > 0) {
      throw new CommandError("the database is behind this version: run 'holdfast migrations up'", 5);
    }
  } finally {
    await database.close();
  }
}
