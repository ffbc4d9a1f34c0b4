import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ClusterRecords } from '../../../edge-dp/durable/cluster-records.ts';
import { DurableStorage, prepareDurableStorage } from '../../../edge-dp/hosts/node/bindings/durable-storage.ts';
import type { RecordChange, RecordOutcome, SharedRecord } from '../../../shared/cluster/records.ts';

// Patience does not run out while a test decides in what order things happen.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout'] }));
afterEach(() => void vi.useRealTimers());

const FOUND: RecordOutcome = { outcome: 'done', found: { value: 'old', until: null } };
const NOTHING: RecordOutcome = { outcome: 'done', found: null };
const LOG = 'log';

type Does = 'get' | 'take' | 'delete';

/** The records of a data plane whose control plane answers when the test does. */
function records() {
  const database = new DatabaseSync(':memory:');
  prepareDurableStorage(database);
  const storage = new DurableStorage(database, 'Records', () => undefined);
  const told: { readonly changes: readonly RecordChange[]; answer(outcomes: readonly RecordOutcome[]): void }[] = [];
  const own = new ClusterRecords({
    storage: Object(storage),
    tell: (changes) => new Promise((answer) => told.push({ changes, answer })),
    linked: true,
    waitUntil: () => undefined,
    log: () => undefined,
  });
  return {
    storage,
    ask: (does: Does, key = 'k') => own.answer('tokens', { does, key }),
    /** What it tells the control plane next, and the way to answer that. */
    async told(...does: readonly Does[]): Promise<(...outcomes: readonly RecordOutcome[]) => Promise<void>> {
      for (let times = 0; told.length === 0 && times < 20; times++) await vi.advanceTimersByTimeAsync(20);
      const next = told.shift();
      expect(next?.changes.map((change) => change.does)).toEqual(does);
      return async (...outcomes) => {
        next?.answer(outcomes);
        await vi.advanceTimersByTimeAsync(0);
      };
    },
    /** All changes of the log up to this number; from the first on: all there is. */
    news: (number: number, value: string | null) =>
      own.news({
        after: number - 1,
        position: { log: LOG, number },
        records: value === null && number === 1 ? [] : [{ ...RECORD, value }],
        more: false,
      }),
  };
}

const RECORD: SharedRecord = { collection: 'tokens', key: 'k', value: null, until: null };

it('a record that the control plane has is kept', async () => {
  const { ask, told } = records();
  const looked = ask('get');
  await (await told('get'))(FOUND);
  expect(await looked).toEqual({ value: 'old' });
  expect(await ask('get')).toEqual({ value: 'old' });
});

it.each<[string, (own: ReturnType<typeof records>) => Promise<unknown>]>([
  ['was deleted elsewhere', ({ news }) => news(2, null)],
  ['is not in what there is, which is told anew,', ({ news }) => news(1, null)],
])('a record that %s while it was looked up is not kept', async (_, overtake) => {
  const own = records();
  await own.news(1, null);
  const looked = own.ask('get');
  const answer = await own.told('get');
  await overtake(own);
  await answer(FOUND);
  // It was there when it was asked for.
  expect(await looked).toEqual({ value: 'old' });
  const again = own.ask('get');
  await (await own.told('get'))(NOTHING);
  expect(await again).toEqual({ value: null });
});

it('a record that was written elsewhere while it was looked up stays as it was written', async () => {
  const { ask, told, news } = records();
  await news(1, null);
  const looked = ask('get');
  const answer = await told('get');
  await news(2, 'new');
  await answer(FOUND);
  expect(await looked).toEqual({ value: 'new' });
  expect(await ask('get')).toEqual({ value: 'new' });
});

it('a record that is taken, or deleted, here while it is looked up is not kept', async () => {
  for (const does of ['take', 'delete'] as const) {
    const { ask, told } = records();
    // What comes meanwhile goes in one message.
    const other = ask('get', 'other');
    const answerOther = await told('get');
    const looked = ask('get');
    await vi.advanceTimersByTimeAsync(0);
    const done = ask(does);
    await vi.advanceTimersByTimeAsync(0);
    await answerOther(NOTHING);
    await (await told('get', does))(FOUND, does === 'take' ? FOUND : { outcome: 'done' });
    await Promise.all([other, looked, done]);
    const again = ask('get');
    await (await told('get'))(NOTHING);
    expect(await again, does).toEqual({ value: null });
  }
});

it('answers once the disk does again', async () => {
  const { storage, ask, told } = records();
  const away = vi.spyOn(storage, 'list').mockRejectedValueOnce(new Error('the disk is away'));
  await expect(ask('get')).rejects.toThrow('the disk is away');
  away.mockRestore();
  const looked = ask('get');
  await (await told('get'))(FOUND);
  expect(await looked).toEqual({ value: 'old' });
});
