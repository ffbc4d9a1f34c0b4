import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { DurableStorage, prepareDurableStorage } from '../../../edge-dp/hosts/node/bindings/durable-storage.ts';

it('lists what an object has kept, by prefix and page by page, and nothing of another', async () => {
  const database = new DatabaseSync(':memory:');
  prepareDurableStorage(database);
  const storage = new DurableStorage(database, 'One', () => undefined);
  const other = new DurableStorage(database, 'Other', () => undefined);
  await storage.put({
    known: 0,
    'record/a': 1,
    'record/b': 2,
    'record/ü': 3,
    'record/\u{1f511}': 4,
    records: 5,
    untold: 6,
  });
  await other.put('record/c', 7);
  const listed = async (options?: Parameters<DurableStorage['list']>[0]) => [...(await storage.list(options)).values()];
  expect(await listed({ prefix: 'record/' })).toEqual([1, 2, 3, 4]);
  expect(await listed({ prefix: 'record/', limit: 2 })).toEqual([1, 2]);
  expect(await listed({ prefix: 'record/', startAfter: 'record/b' })).toEqual([3, 4]);
  expect(await listed({ prefix: 'nothing/' })).toEqual([]);
  expect(await listed()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  await expect(storage.list(Object({ reverse: true }))).rejects.toThrow("'reverse' is not there");
});
