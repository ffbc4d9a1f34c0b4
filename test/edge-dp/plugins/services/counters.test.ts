import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClusterCounters } from '../../../../edge-dp/durable/cluster-counters.ts';
import { CountedWindows } from '../../../../edge-dp/durable/counted-windows.ts';
import { CounterLedger } from '../../../../edge-dp/durable/counter-ledger.ts';
import { parseCounterQuestion } from '../../../../edge-dp/durable/state-messages.ts';
import type { Window } from '../../../../edge-dp/plugins/runtime/services.ts';
import { LeasedCounters } from '../../../../edge-dp/plugins/services/leased-counters.ts';
import type { Count } from '../../../../shared/cluster/counts.ts';

const PLACE = '00000000-0000-4000-8000-000000000001';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');
/** What is still in use once all else is collected. */
const heldBytes = (): number => {
  collect();
  return process.memoryUsage().heapUsed;
};

const newLedger = () => new CounterLedger(() => undefined);

/** Isolates that count through ledgers, one for each shard of keys, with how often they asked, and for which keys which of them. */
function isolates(count: number, shards = 1) {
  const ledgers = Array.from({ length: shards }, newLedger);
  let restarts = 0;
  const asked = { times: 0 };
  const keys = new Map<string, Set<number>>();
  const ask = async (shard: number, question: unknown) => {
    asked.times += 1;
    const parsed = parseCounterQuestion(JSON.parse(JSON.stringify(question)));
    for (const { key } of parsed.windows) keys.set(key, (keys.get(key) ?? new Set()).add(shard));
    return (ledgers[shard] ?? expect.fail(`there is no shard ${shard}`)).answer(parsed, Date.now() + restarts);
  };
  const restart = () => {
    ledgers.fill(newLedger());
    restarts += 1;
  };
  return { asked, keys, restart, all: Array.from({ length: count }, () => new LeasedCounters(shards, ask)) };
}

const window = (limit: number, key = 'k', length = 3_600_000): Window => ({ key, start: Date.now(), length, limit });

describe('counters of all data planes', () => {
  beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 5, 1) }));
  afterEach(() => void vi.useRealTimers());

  /** A control plane as nodes see it, and nodes with an isolate each. */
  function cluster(count: number) {
    const kept = new Map<string, Map<string, number>>();
    const control = { gone: false, answersGetLost: false };
    const told: string[] = [];
    const compare = async (ledger: string, counts: readonly Count[]) => {
      if (control.gone) return null;
      const others = counts.map(([window, used]) => {
        const ledgers = kept.get(window) ?? new Map<string, number>();
        kept.set(window, ledgers.set(ledger, used));
        return [...ledgers].reduce((sum, [name, each]) => (name === ledger ? sum : sum + each), 0);
      });
      return control.answersGetLost ? null : others;
    };
    const keepers: ClusterCounters[] = [];
    const start = (place: number) => {
      keepers[place] = new ClusterCounters({
        compare,
        later: () => undefined,
        log: (_, message) => void told.push(message),
      });
    };
    for (let place = 0; place < count; place++) start(place);
    const nodes = keepers.map(
      (_, place) =>
        new LeasedCounters(1, async (_shard, question) =>
          keepers[place]?.answer(parseCounterQuestion(JSON.parse(JSON.stringify(question)))),
        ),
    );
    const take = async (place: number, own: Window, times: number) => {
      let allowed = 0;
      for (let i = 0; i < times; i++) if ((await nodes[place]?.take([own], 1))?.[0]?.room === true) allowed += 1;
      return allowed;
    };
    return { control, told, start, take };
  }
  /** Each tells, and hears of what the others have told. */
  const peace = () => vi.advanceTimersByTimeAsync(3_000);

  it('go beyond a limit by what others let through since, and never again after', async () => {
    const { take } = cluster(3);
    const own = window(50);
    expect([await take(0, own, 40), await take(1, own, 30), await take(2, own, 10)]).toEqual([40, 30, 10]);
    await peace();
    expect([await take(0, own, 5), await take(1, own, 5), await take(2, own, 5)]).toEqual([0, 0, 0]);
    const quiet = window(50, 'quiet');
    let allowed = 0;
    for (let turn = 0; turn < 20; turn++) {
      for (let place = 0; place < 3; place++) allowed += await take(place, quiet, 1);
      await peace();
    }
    // Two of them came too late to hear of the last one that had room.
    expect(allowed).toBeGreaterThanOrEqual(50);
    expect(allowed).toBeLessThanOrEqual(52);
  });

  it('are each node’s own while nobody can be asked, said so once, and brought together afterwards', async () => {
    const { take, control, told } = cluster(2);
    const own = window(50);
    control.gone = true;
    expect([await take(0, own, 40), await take(1, own, 40)]).toEqual([40, 40]);
    await peace();
    expect(await take(0, own, 20)).toBe(10);
    control.gone = false;
    await peace();
    expect([await take(0, own, 5), await take(1, own, 5)]).toEqual([0, 0]);
    expect(told.filter((line) => line.includes("this one's own"))).toHaveLength(2);
  });

  it('count once what is told twice, and go on when a node’s keeper was started again', async () => {
    const { take, control, start } = cluster(2);
    const own = window(50);
    control.answersGetLost = true;
    expect(await take(0, own, 20)).toBe(20);
    await peace();
    control.answersGetLost = false;
    await peace();
    start(0);
    expect(await take(0, own, 5)).toBe(5);
    await peace();
    await take(1, own, 1);
    await peace();
    // 20 of before, 5 and 1.
    expect(await take(1, own, 50)).toBe(24);
  });
});

describe('counters of a node', () => {
  it('never let isolates together take more than the limit, nor one by itself less', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 2500 }),
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.nat(3), { maxLength: 300 }),
        async (limit, count, turns) => {
          const { all } = isolates(count);
          const own = window(limit);
          let taken = 0;
          const take = async (turn: number) => {
            const [usage] = (await all[turn % count]?.take([own], 1)) ?? [];
            if (usage?.room === true) taken += 1;
          };
          // Some at once, some one after the other.
          for (let at = 0; at < turns.length; at += 7) await Promise.all(turns.slice(at, at + 7).map(take));
          expect(taken).toBeLessThanOrEqual(limit);
          if (count === 1) expect(taken).toBe(Math.min(limit, turns.length));
        },
      ),
    );
  });

  it('are spread over their keepers by key, each client always with the same one, and never exceed a limit for it', async () => {
    const { all, keys } = isolates(3, 8);
    const clients = Array.from({ length: 200 }, (_, n) => `198.51.100.${n}`);
    for (const client of clients) {
      const own = [window(3, `minute of ${client}`, 60_000), window(5, `minute of ${client}`, 3_600_000)];
      let allowed = 0;
      for (let turn = 0; turn < 6; turn++) {
        const found = await all[turn % 3]?.take(own, 1);
        if (found?.every(({ room }) => room) === true) allowed += 1;
      }
      expect(allowed, client).toBe(3);
    }
    expect(keys.size).toBe(200);
    for (const shards of keys.values()) expect(shards.size).toBe(1);
    const used = Map.groupBy(keys.values(), ([shard]) => shard);
    expect(used.size).toBe(8);
    // By chance alone one of eight has 25 of 200, and twice that hardly ever.
    for (const [shard, of] of used) expect(of.length, `shard ${shard}`).toBeLessThan(50);
  });

  it('tell exactly what was used where each is counted', async () => {
    const { all } = isolates(2);
    const own = window(3);
    const used = [];
    for (let turn = 0; turn < 5; turn++) used.push(...((await all[turn % 2]?.take([own], 1)) ?? []));
    expect(used).toEqual([
      { used: 1, room: true },
      { used: 2, room: true },
      { used: 3, room: true },
      { used: 3, room: false },
      { used: 3, room: false },
    ]);
  });

  it('tell each request a count of its own, also where answers overtake each other', async () => {
    const ledger = newLedger();
    const waiting: (() => void)[] = [];
    const counters = new LeasedCounters(1, async (_shard, question) => {
      const answer = ledger.answer(parseCounterQuestion(JSON.parse(JSON.stringify(question))), Date.now());
      await new Promise<void>((resolve) => void waiting.push(resolve));
      return answer;
    });
    const own = window(10);
    const taken = [1, 2, 3, 4, 5].map(() => counters.take([own], 1));
    await vi.waitFor(() => expect(waiting).toHaveLength(5), { timeout: 60_000 });
    for (const place of [4, 0, 2, 1, 3]) waiting[place]?.();
    const used = (await Promise.all(taken)).map(([usage]) => usage?.used);
    expect(used.toSorted()).toEqual([1, 2, 3, 4, 5]);
  });

  it('ask seldom where much is allowed, and not for each request once nothing is left', async () => {
    const { all, asked } = isolates(1);
    const [counters] = all;
    const own = window(10_000);
    for (let i = 0; i < 1_000; i++) await counters?.take([own], 1);
    expect(asked.times).toBe(2);
    const few = window(1, 'few');
    for (let i = 0; i < 50; i++) await counters?.take([few], 1);
    expect(asked.times).toBe(4);
  });

  it('count in all windows or in none', async () => {
    const { all } = isolates(1);
    const [counters] = all;
    const [minute, hour] = [window(5, 'k', 60_000), window(2, 'k', 3_600_000)];
    await counters?.take([minute, hour], 1);
    await counters?.take([minute, hour], 1);
    expect(await counters?.take([minute, hour], 1)).toEqual([
      { used: 2, room: true },
      { used: 2, room: false },
    ]);
    expect(await counters?.usage([minute])).toEqual([{ used: 2, room: true }]);
  });

  it('do not count where one is full in what another isolate sees either', async () => {
    const { all } = isolates(2);
    const [minute, hour] = [window(5, 'k', 60_000), window(1, 'k', 3_600_000)];
    await all[0]?.take([minute, hour], 1);
    await all[0]?.take([minute, hour], 1);
    expect(await all[1]?.usage([minute, hour])).toEqual([
      { used: 1, room: true },
      { used: 1, room: false },
    ]);
  });

  it('go on from what isolates know when what keeps them was started again', async () => {
    const { all, restart } = isolates(3);
    const [first, second, third] = all;
    const own = window(10);
    for (let i = 0; i < 4; i++) await first?.take([own], 1);
    for (let i = 0; i < 3; i++) await second?.take([own], 1);
    restart();
    expect(await first?.take([own], 1)).toEqual([{ used: 5, room: true }]);
    expect(await second?.take([own], 1)).toEqual([{ used: 9, room: true }]);
    expect(await third?.take([own], 1)).toEqual([{ used: 10, room: true }]);
    // What was given back since is not brought up again.
    await third?.add([own], -10);
    expect(await second?.take([own], 1)).toEqual([{ used: 1, room: true }]);
  });

  it('let no more than the limit through again when what keeps them ends with an isolate, and no more than is left once who knows most has asked', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 100 }),
        fc.array(fc.nat(3), { maxLength: 120 }),
        fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 250 }),
        async (limit, before, after) => {
          const { all, restart, asked } = isolates(4);
          const own = window(limit);
          const allows = async (place: number) => (await all[place]?.take([own], 1))?.[0]?.room === true;
          let taken = 0;
          // Of those that are left, who was told most; the first isolate ends with its keeper.
          let best = { place: 0, used: 0 };
          for (const place of before) {
            if (!(await allows(place))) continue;
            taken += 1;
            if (place > 0) best = { place, used: taken };
          }
          restart();
          let again = 0;
          let most = limit;
          let told = false;
          for (const place of after) {
            const [times, earlier] = [asked.times, again];
            if (await allows(place)) again += 1;
            if (place === best.place && !told && asked.times > times) {
              told = true;
              most = Math.max(earlier, limit - best.used);
            }
            expect(again).toBeLessThanOrEqual(most);
          }
        },
      ),
    );
  });

  it('forget those counted longest ago rather than fill the memory, and say so', () => {
    const forgetting = vi.fn();
    const ledger = new CounterLedger(forgetting, 100);
    const take = (key: string, start: number, length = 60_000) => {
      const counted = { key, start, length, limit: 5, used: 0, ledger: 0 };
      return ledger.answer({ isolate: 'i', does: 'one', amount: 1, windows: [counted] }, start + 1)[0]?.used;
    };
    take('of the day', 0, 86_400_000);
    for (let i = 0; i < 100; i++) take(`client ${i}`, 0);
    expect(forgetting).toHaveBeenCalledExactlyOnceWith(100);
    expect(take('client 99', 0)).toBe(2);
    expect(take('client 0', 0)).toBe(1);
    expect(take('of the day', 0, 86_400_000)).toBe(2);
    // What is over makes room.
    for (let i = 0; i < 99; i++) take(`client ${i}`, 60_000);
    expect(forgetting).toHaveBeenCalledTimes(2);
  });

  it('hold a hundred thousand clients of one minute in the memory that the documents say', () => {
    const ledger = new CounterLedger(() => expect.fail('some were forgotten'), 100_000);
    const window = (i: number) => {
      const key = `rate-limiting:${PLACE}:${PLACE}:198.51.${i >> 8}.${i & 255}`;
      // As they come from another isolate.
      return JSON.parse(JSON.stringify({ key, start: 0, length: 60_000, limit: 60, used: 0, ledger: 0 }));
    };
    const take = (i: number) => ledger.answer({ isolate: 'i', does: 'one', amount: 1, windows: [window(i)] }, 1);
    const before = heldBytes();
    for (let i = 0; i < 100_000; i++) take(i);
    expect((heldBytes() - before) / 100_000).toBeLessThan(200);
    expect(take(0)).toMatchObject([{ used: 2 }]);
  });

  it('are bounded in each process, too, where every client is a new one', () => {
    const windows = new CountedWindows<object>(20_000, () => undefined);
    const before = heldBytes();
    let checked = 0;
    for (let i = 0; i < 200_000; i++) {
      windows.set({ key: `client ${i}`, start: 0, length: 60_000 }, { lease: i }, 1);
      if (windows.size <= 20_000) checked += 1;
    }
    expect(checked).toBe(200_000);
    expect(windows.get({ key: 'client 199999', start: 0, length: 60_000 })).toEqual({ lease: 199_999 });
    expect((heldBytes() - before) / 20_000).toBeLessThan(400);
  });

  it('count beyond the limit when told to, and give back', async () => {
    const { all } = isolates(2);
    const [first, second] = all;
    const own = window(2);
    await first?.add([own], 5);
    expect(await second?.usage([own])).toEqual([{ used: 5, room: false }]);
    await first?.add([own], -4);
    expect(await second?.usage([own])).toEqual([{ used: 1, room: true }]);
  });

  it('say when what keeps them does not answer', async () => {
    const counters = new LeasedCounters(1, async () => {
      throw new Error('gone');
    });
    await expect(counters.take([window(1)], 1)).rejects.toThrow('gone');
  });
});
