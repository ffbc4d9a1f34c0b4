import { rmSync } from 'node:fs';

import { afterAll, beforeAll, expect, it } from 'vitest';

import type { Database } from '../../../cp/store/database.ts';
import { renewStatistics } from '../../../cp/store/housekeeping.ts';
import { openDatabase } from '../../../cp/store/open.ts';
import { DEFAULT_WORKSPACE } from '../../../shared/workspace.ts';
import { freshPrefix } from '../../embedded-database.ts';

let prefix: string;
let database: Database;

beforeAll(async () => {
  prefix = await freshPrefix('migrated');
  database = await openDatabase({ database: 'embedded', prefix });
});

afterAll(async () => {
  await database?.close();
  rmSync(prefix, { recursive: true, force: true });
});

async function addConsumers(from: number, to: number): Promise<void> {
  await database.query(
    `INSERT INTO consumers (id, ws_id, username) SELECT gen_random_uuid(), $1::uuid, 'c' || i FROM generate_series($2::integer, $3::integer) AS i`,
    [DEFAULT_WORKSPACE.id, from, to],
  );
}

async function planOfAPage(): Promise<string> {
  const lines = await database.query(
    `EXPLAIN SELECT * FROM consumers WHERE ws_id = '${DEFAULT_WORKSPACE.id}' ORDER BY id LIMIT 101`,
  );
  return lines.map((line) => String(Object.values(line)[0])).join('\n');
}

it('keeps a page of a large embedded table from sorting all of it', async () => {
  await addConsumers(1, 5000);
  expect(await planOfAPage()).toContain('Sort');
  const analysed = await renewStatistics(database, 0);
  expect(await planOfAPage()).not.toContain('Sort');
  await addConsumers(5001, 5010);
  expect(await renewStatistics(database, analysed)).toBe(analysed);
});
