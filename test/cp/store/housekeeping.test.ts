import { expect, test } from 'vitest';
import { catalogOf } from '../../../cp/store/catalog.ts';
import { keepHouse } from '../../../cp/store/housekeeping.ts';
import { openDatabase, openStore } from '../../../cp/store/open.ts';
import { schemas } from '../../../cp/store/schemas.ts';
import { startPostgres } from '../../postgres-server.ts';

test('says once that housekeeping fails, and once that it works again', async () => {
  const server = await startPostgres();
  await (await openStore(server.settings(), { migrate: true })).close();
  const database = await openDatabase(server.settings());
  const log: string[] = [];
  const stop = keepHouse(database, catalogOf(schemas), (level, message) => log.push(`${level} ${message}`), 20);
  await server.kill();
  await expect.poll(() => log).toEqual([expect.stringMatching(/^error removing rows .* fails and is tried again: ./)]);
  await server.start();
  await expect.poll(() => log.slice(1)).toEqual([expect.stringMatching(/ works again$/)]);
  stop();
  await database.close();
  await server.stop();
});
