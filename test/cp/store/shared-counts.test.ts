import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase, openStore, type StoreSettings } from '../../../cp/store/open.ts';
import { purgeCounts } from '../../../cp/store/shared-counts.ts';
import type { Store } from '../../../cp/store/store.ts';
import type { Count } from '../../../shared/cluster/counts.ts';
import { onBothDrivers } from './drivers.ts';

const [NODE, OTHER, THIRD] = ['1', '2', '3'].map((digit) => `${digit.repeat(8)}-2222-4333-8444-555555555555`) as [
  string,
  string,
  string,
];
const LATER = Math.ceil(Date.now() / 1000) + 600;

onBothDrivers('what data planes count together', ({ fresh }) => {
  let settings: StoreSettings;
  let store: Store;
  beforeAll(async () => {
    settings = await fresh();
    store = await openStore(settings, { migrate: true });
  });
  afterAll(() => store?.close());

  /** Told by the first ledger of a node. */
  const tell = (node: string, counts: readonly Count[], ledger = node) =>
    store.counts.compare({ node, ledger, counts });

  test('is the sum of what each has told last, whatever it tells twice', async () => {
    expect(
      await tell(NODE, [
        ['a', 3, LATER],
        ['b', 1, LATER],
      ]),
    ).toEqual([0, 0]);
    expect(await tell(NODE, [['a', 5, LATER]])).toEqual([0]);
    expect(await tell(NODE, [['a', 5, LATER]])).toEqual([0]);
    expect(
      await tell(OTHER, [
        ['b', 0, LATER],
        ['a', 2, LATER],
        ['c', 7, LATER],
      ]),
    ).toEqual([1, 5, 0]);
    // A node that was started again counts on top of what it had told before.
    expect(await tell(NODE, [['a', 1, LATER]], THIRD)).toEqual([7]);
    expect(await tell(OTHER, [['a', 2, LATER]])).toEqual([6]);
    // And what was given back is.
    expect(await tell(OTHER, [['c', 0, LATER]])).toEqual([0]);
    expect(await tell(NODE, [['c', 0, LATER]])).toEqual([0]);
    expect(await tell(NODE, [])).toEqual([]);
  });

  test('holds when many tell at once, in any order', async () => {
    const windows = Array.from({ length: 60 }, (_, n) => `w${n}`);
    const told = [NODE, OTHER, THIRD].map((node, at) => {
      const counts = windows.map((window): Count => [window, at + 1, LATER]);
      return tell(node, at % 2 === 0 ? counts : counts.toReversed());
    });
    await Promise.all(told);
    expect(
      await tell(
        NODE,
        windows.map((window): Count => [window, 1, LATER]),
      ),
    ).toEqual(windows.map(() => 5));
  });

  test('cannot be changed under another node’s ledger, nor kept longer than any window lasts', async () => {
    await tell(NODE, [['mine', 4, 4_000_000_000]]);
    await tell(OTHER, [['mine', 0, LATER]], NODE);
    expect(await tell(THIRD, [['mine', 0, LATER]])).toEqual([4]);
    await tell(NODE, [['over', 4, 1]]);
    await tell(NODE, [['short', 4, LATER]]);
    await store.close();
    const database = await openDatabase(settings);
    await database.query(`UPDATE shared_counts SET expires_at = now() WHERE counted = 'short'`);
    await purgeCounts(database);
    const left = await database.query(
      `SELECT counted, expires_at < now() + interval '368 days' AS bounded FROM shared_counts
       WHERE counted IN ('short', 'over', 'mine')`,
    );
    await database.close();
    store = await openStore(settings);
    expect(left).toEqual([{ counted: 'mine', bounded: true }]);
  });
});
