import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openDatabase } from '../../../edge-dp/hosts/node/bindings/database.ts';
import { SqliteKv } from '../../../edge-dp/hosts/node/bindings/kv.ts';
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

test('the manifest of a config is written so that a power cut takes neither it nor what was written before', async () => {
  const database = openDatabase(directory, 'durable');
  const kv = new SqliteKv(database);
  const FULL = 2;
  const levels: [key: unknown, level: unknown][] = [];
  const level = database.prepare('PRAGMA synchronous');
  database.function('written', (key) => {
    levels.push([key, level.get()?.synchronous]);
    return null;
  });
  database.exec('CREATE TEMP TRIGGER seen AFTER INSERT ON main.entry BEGIN SELECT written(new.key); END');
  await kv.put('objects/one', Uint8Array.of(1));
  await kv.put('introductions', Uint8Array.of(1));
  await kv.put('manifest', Uint8Array.of(1));
  await kv.put('objects/two', Uint8Array.of(1));
  expect(levels.map(([key]) => key)).toEqual(['objects/one', 'introductions', 'manifest', 'objects/two']);
  expect(levels.filter(([, is]) => is === FULL)).toEqual([['manifest', FULL]]);
  database.close();
});
