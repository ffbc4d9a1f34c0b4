import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { atOnce } from '../../at-once.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast database '));
afterAll(() => rmSync(directory, { recursive: true }));

const module = join(import.meta.dirname, '..', '..', '..', 'edge-dp', 'hosts', 'node', 'bindings', 'database.ts');

test('two processes that open a new database at once both have it', async () => {
  const outcomes = await atOnce(
    100,
    `const database = module.openDatabase(directory, 'kv' + round);
     database.exec('CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY)');
     return () => database.close();`,
    module,
    directory,
  );
  expect(new Set(outcomes.flat())).toEqual(new Set([null]));
});
