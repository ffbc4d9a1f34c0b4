import { randomInt, randomUUID } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { parseMetrics } from '../../../cp/telemetry/otlp-metrics.ts';
import { TelemetryKeeper, type TelemetryStanding } from '../../../edge-dp/telemetry/keeper.ts';
import { SERIES_NUMBERS, seriesText } from '../../../edge-dp/telemetry/series-text.ts';
import { BUCKETS, MOST_SERIES, OTHER } from '../../../shared/telemetry/series.ts';

/** Whose batches are more than may wait. */
const INTERVALS = 8;
const NODE = '11111111-2222-4333-8444-555555555555';

function keeper(send: (bytes: Uint8Array) => Promise<string | null>) {
  const log: string[] = [];
  const packing: Promise<unknown>[] = [];
  const made = new TelemetryKeeper({
    node: NODE,
    sender: { send },
    wakeAt: () => undefined,
    later: (work) => void packing.push(work),
    log: (level, message) => void log.push(`${level} ${message}`),
  });
  const standing = (): TelemetryStanding => {
    const answer = made.answer({ does: 'show' }, 0);
    return answer ?? expect.fail('no standing');
  };
  return { made, log, standing, packed: () => Promise.all(packing) };
}

/** `count` requests of as many routes and consumers, whose ids and latencies do not pack well. */
function samples(count: number) {
  const series = (dimension: keyof typeof MOST_SERIES, subject: () => string, service: () => string) =>
    Array.from({ length: count }, (_, at) => {
      const numbers = new Array<number>(SERIES_NUMBERS).fill(0);
      numbers[5] = 1;
      // Of what is added up there may be too many.
      if (at < MOST_SERIES[dimension]) for (let n = BUCKETS + 1; n < numbers.length; n++) numbers[n] = randomInt(1e8);
      return [seriesText({ subject: subject(), service: service(), status: 2, source: 'service' }), numbers];
    });
  let serial = 0;
  return {
    route: series('route', randomUUID, randomUUID),
    consumer: series('consumer', randomUUID, () => ''),
    serial: series(
      'serial',
      () => String(serial++),
      () => '',
    ),
  };
}

test('with nobody to tell, memory stays bounded, the oldest go first, and what is told then says how much went', async () => {
  let taken: ReturnType<typeof parseMetrics>[] | null = null;
  let largest = 0;
  const { made, log, standing, packed } = keeper(async (bytes) => {
    if (taken === null) throw new Error('nobody is there');
    largest = Math.max(largest, bytes.length);
    taken.push(parseMetrics(gunzipSync(bytes)));
    return null;
  });
  let now = 1_000_000;
  let counted = 0;
  for (let interval = 0; interval < INTERVALS; interval++) {
    made.answer({ does: 'add', samples: samples(2_500) }, now);
    counted += 2_500;
    now += 5_000;
    await made.alarm(now);
    await packed();
    expect(standing().bytes).toBeLessThanOrEqual(4 << 20);
  }
  const without = standing();
  expect(without.dropped).toBeGreaterThan(0);
  expect(without.told).toBe(0);
  expect(log).toEqual([
    expect.stringContaining(`more than ${MOST_SERIES.route} counts by route`),
    expect.stringContaining('no control plane takes it: nobody is there; up to 4 MB of it wait'),
  ]);

  taken = [];
  made.answer({ does: 'add', samples: samples(1) }, now);
  now += 5_000;
  await made.alarm(now);
  const after = standing();
  expect(after).toMatchObject({ waiting: 0, bytes: 0, dropped: without.dropped });
  expect(after.told + after.dropped).toBe(counted + 1);
  expect(log.at(-1)).toBe('notice telemetry: control planes take it again');
  // What is being packed takes no room away from what is packed: there was none for one more.
  expect(without.bytes).toBeGreaterThan((4 << 20) - largest);
  const batches: readonly ReturnType<typeof parseMetrics>[] = taken;
  const numbers = batches.map(({ number }) => number);
  expect(numbers).toEqual(numbers.map((_, place) => INTERVALS + 2 - numbers.length + place));
  expect(batches.reduce((sum, { dropped }) => sum + dropped, 0)).toBeGreaterThan(0);
  const [full] = batches;
  for (const dimension of ['route', 'consumer', 'serial'] as const) {
    const own = full?.series.filter((series) => series.dimension === dimension) ?? [];
    expect(own).toHaveLength(MOST_SERIES[dimension] + 1);
    expect(own.find(({ subject }) => subject === OTHER)?.request.buckets[5]).toBe(2_500 - MOST_SERIES[dimension]);
  }
});

test('what a control plane refuses for good is dropped and told, and does not keep the next from it', async () => {
  const answers: (string | null)[] = ['expected the metrics of one resource', null];
  const { made, log, standing } = keeper(async () => answers.shift() ?? null);
  for (let interval = 1; interval <= 2; interval++) {
    made.answer({ does: 'add', samples: samples(2) }, interval * 5_000);
    await made.alarm((interval + 1) * 5_000);
  }
  expect(standing()).toMatchObject({ waiting: 0, told: 2, dropped: 2 });
  expect(log).toEqual([expect.stringContaining('does not take what this node counted: expected the metrics')]);
});

test('what is taken at last, after memory was full while it was being sent, was not lost as well', async () => {
  const answer = Promise.withResolvers<null>();
  const { made, standing, packed } = keeper(() => answer.promise);
  let now = 1_000_000;
  let counted = 0;
  const sending: Promise<void>[] = [];
  for (let interval = 0; interval < INTERVALS; interval++) {
    made.answer({ does: 'add', samples: samples(2_500) }, now);
    counted += 2_500;
    now += 5_000;
    sending.push(made.alarm(now));
    await packed();
  }
  expect(standing().dropped).toBeGreaterThan(0);
  answer.resolve(null);
  await Promise.all(sending);
  const { told, dropped, waiting } = standing();
  expect(waiting).toBe(0);
  expect(told + dropped).toBe(counted);
});
