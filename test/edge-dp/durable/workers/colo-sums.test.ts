import { expect, test } from 'vitest';
import { ColoSums } from '../../../../edge-dp/durable/colo-sums.ts';
import type { Samples } from '../../../../edge-dp/durable/state-messages.ts';
import { CLOUDFLARE } from '../../../bench/edge-scale/network.ts';
import { simulateTelemetry } from '../../../bench/edge-scale/telemetry.ts';

/** The object of a colo, and what the keepers were given. */
function colo() {
  const passed: { keeper: string; samples: Samples }[] = [];
  const warnings: string[] = [];
  const world = { now: 1_000_000, wakes: 0, isAway: false, passed, warnings };
  let work: Promise<unknown> = Promise.resolve();
  const sums = new ColoSums({
    async pass(keeper, samples) {
      if (world.isAway) throw new Error('nobody is there');
      passed.push({ keeper, samples: structuredClone(samples) });
    },
    wakeAt: (time) => {
      world.wakes = time;
    },
    later: (begun) => {
      work = begun;
    },
    warn: (message) => void warnings.push(message),
  });
  return Object.assign(world, {
    sums,
    async adds(samples: Samples, keeper = 'telemetry') {
      const answer = sums.answer({ does: 'add', keeper, samples }, world.now);
      await work;
      return answer;
    },
  });
}

const one = (labels: string, ...numbers: number[]): Samples => ({ route: [[labels, numbers]] });

test('passes on at once what comes after a rest, and then once an interval what isolates have counted together', async () => {
  const here = colo();
  await here.adds(one('a', 1, 10));
  expect(here.passed.splice(0)).toEqual([{ keeper: 'telemetry', samples: one('a', 1, 10) }]);
  here.now += 1_000;
  await here.adds(one('a', 2, 20));
  await here.adds(one('b', 5));
  await here.adds({ kong_bandwidth_bytes: [['x', [7]]] }, 'metrics');
  expect(here.passed).toEqual([]);
  here.now += 4_000;
  await here.adds(one('a', 3, 30));
  const [telemetry, metrics] = here.passed.splice(0);
  expect(telemetry?.samples.route).toEqual([
    ['a', [5, 50]],
    ['b', [5]],
  ]);
  expect(metrics).toEqual({ keeper: 'metrics', samples: { kong_bandwidth_bytes: [['x', [7]]] } });

  // The last one of all has nobody after it who would pass it on.
  here.now += 2_000;
  await here.adds(one('last', 1));
  expect(here.passed).toEqual([]);
  here.now = here.wakes;
  await here.sums.alarm(here.now);
  expect(here.passed).toEqual([{ keeper: 'telemetry', samples: one('last', 1) }]);
});

test('keeps what no keeper takes, says so once, and takes no more than it has room for', async () => {
  const here = colo();
  here.isAway = true;
  for (let times = 0; times < 3; times++) {
    await here.adds(one('a', 1));
    here.now += 5_000;
  }
  const many = (from: number, count: number): Samples => ({
    route: Array.from({ length: count }, (_, index) => [`${from + index}`, [1]] as const),
  });
  await here.adds(many(0, 49_999));
  await expect(here.adds(many(100_000, 2))).rejects.toThrow('more than 50000 sums of this data center wait');
  await here.adds(one('a', 1));
  expect(here.warnings).toEqual([expect.stringContaining('does not take it: nobody is there')]);

  here.isAway = false;
  here.now += 20_000;
  await here.sums.alarm(here.now);
  const [all] = here.passed;
  // Of what was refused, nothing: who brought it still has it.
  expect(all?.samples.route).toHaveLength(50_000);
  expect(all?.samples.route?.[0]).toEqual(['a', [4]]);
  expect(() => here.sums.answer({ does: 'add', keeper: 'counters', samples: {} }, here.now)).toThrow(TypeError);
});

test('of many isolates in few colos, the keeper hears as often as of the colos, and of every request', async () => {
  const { keeper, busiest, counted, arrived, lag } = await simulateTelemetry({
    isolates: 300,
    summed: true,
    network: { ...CLOUDFLARE, colos: 3 },
  });
  expect(arrived).toBe(counted);
  // Once in five seconds each; those isolates would bring theirs a hundred times a second.
  expect(keeper).toBeLessThan(3 / 5 + 0.1);
  // 160 isolates of the busiest colo, in 15 seconds and until their next request.
  expect(busiest).toBeLessThan(160 / 15);
  expect(lag.p99).toBeLessThan(30_000);
});
