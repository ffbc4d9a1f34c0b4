import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CounterLedger } from '../../../../edge-dp/durable/counter-ledger.ts';
import { parseCounterQuestion } from '../../../../edge-dp/durable/state-messages.ts';
import type { Window } from '../../../../edge-dp/plugins/runtime/services.ts';
import { LeasedCounters } from '../../../../edge-dp/plugins/services/leased-counters.ts';

/** Isolates that count through one ledger, with how often they asked it. */
function isolates(count: number) {
  const ledger = new CounterLedger();
  const asked = { times: 0 };
  const ask = async (_path: string, question: unknown) => {
    asked.times += 1;
    return ledger.answer(parseCounterQuestion(JSON.parse(JSON.stringify(question))), Date.now());
  };
  return { asked, all: Array.from({ length: count }, () => new LeasedCounters(ask)) };
}

const window = (limit: number, key = 'k', length = 3_600_000): Window => ({ key, start: Date.now(), length, limit });

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
    const counters = new LeasedCounters(async () => {
      throw new Error('gone');
    });
    await expect(counters.take([window(1)], 1)).rejects.toThrow('gone');
  });
});
