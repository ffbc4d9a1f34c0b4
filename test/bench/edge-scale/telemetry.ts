import { ColoSums } from '../../../edge-dp/durable/colo-sums.ts';
import type { Samples } from '../../../edge-dp/durable/state-messages.ts';
import { SERIES_NUMBERS, seriesText } from '../../../edge-dp/telemetry/series-text.ts';
import type { Network } from './network.ts';
import { gapOf, LIFETIME, placing, randomFrom } from './population.ts';
import { SimulatedTime } from './time.ts';

interface TelemetryScenario {
  readonly isolates: number;
  /** Counts are added up in each colo; false: each isolate brings its own to the node's keeper. */
  readonly summed: boolean;
  readonly network: Network;
  /** Makes the same run again. */
  readonly seed?: number;
}

export interface TelemetryOutcome {
  /** Requests a second: to the node's keeper, to the busiest object of a colo, in its worst second since the start, and to all objects. */
  readonly keeper: number;
  readonly busiest: number;
  readonly worst: number;
  readonly all: number;
  /** Of these, how many the keeper was too busy for, by the second. */
  readonly refused: number;
  /** Alarms that were set, by the second. */
  readonly alarms: number;
  /** Seconds that objects of colos were at work, of each second, all of them together. */
  readonly active: number;
  /** Milliseconds from a request until the keeper had it: of the oldest one in each message of an isolate. */
  readonly lag: { readonly p50: number; readonly p99: number };
  /** To the keeper, a second. */
  readonly bytes: number;
  /** Requests that were counted until the measuring ended, and how many of them had arrived some time later. */
  readonly counted: number;
  readonly arrived: number;
}

/** Milliseconds. */
const WARM_UP = 60_000;
const MEASURED = 60_000;
/** For what is on its way. */
const REST = 90_000;
/** An object of a colo is in it, or in one nearby: milliseconds there and back. */
const NEARBY = [2, 30] as const;
/** Milliseconds an isolate gathers where nobody says another time, and until it tries again. */
const GATHERED = 1_000;
const PAUSE = 5_000;
/** Series of requests that an isolate, and a node, has. */
const SERIES = 40;

/** Two minutes of counts on their way from isolates to the keeper of the node. */
export async function simulateTelemetry(scenario: TelemetryScenario): Promise<TelemetryOutcome> {
  const { isolates, summed, network, seed = 1 } = scenario;
  const time = new SimulatedTime();
  const random = randomFrom(seed);
  const between = ([least, most]: readonly [number, number]) => least + random() * (most - least);
  const start = time.now;
  const measuring = () => time.now >= start + WARM_UP && time.now < start + WARM_UP + MEASURED;
  const lags: number[] = [];
  let [counted, arrived, bytes, alarms, refused, active] = [0, 0, 0, 0, 0, 0];
  const visited = (object: SimulatedObject): void => object.visited(time.now, measuring());

  const keeper = new SimulatedObject();
  /** Brings sums to the keeper, `oldest` being the times of the first requests in them. Throws when that does not take them. */
  const bring = async (samples: Samples, oldest: readonly number[], roundTrip: number): Promise<void> => {
    await time.sleep(roundTrip / 2);
    visited(keeper);
    if (random() < network.lost) {
      await time.sleep(network.giveUp - roundTrip / 2);
      throw new Error('nobody answers');
    }
    if (keeper.freeAt - time.now > network.overloaded) {
      if (measuring()) refused++;
      await time.sleep(roundTrip / 2);
      throw new Error('the object is overloaded');
    }
    keeper.freeAt = Math.max(keeper.freeAt, time.now) + network.service;
    await time.sleep(keeper.freeAt - time.now);
    arrived += requestsIn(samples);
    if (measuring()) {
      bytes += JSON.stringify(samples).length;
      for (const at of oldest) lags.push(time.now - at);
    }
    await time.sleep(roundTrip / 2);
  };

  const colos = Array.from({ length: network.colos }, () => {
    const object = new SimulatedObject();
    const roundTrip = between(network.roundTrip);
    let oldest: number[] = [];
    const sums = new ColoSums({
      async pass(_keeper, samples) {
        const own = oldest;
        oldest = [];
        const began = time.now;
        try {
          await bring(samples, own, roundTrip);
        } catch (error) {
          oldest.push(...own);
          throw error;
        } finally {
          if (measuring()) active += time.now - began;
        }
      },
      wakeAt(at) {
        if (measuring()) alarms++;
        time.at(at, () => time.start(() => sums.alarm(time.now)));
      },
      later: (work) => time.start(() => work.then(() => undefined)),
      warn: () => undefined,
    });
    return {
      object,
      /** Milliseconds the isolate is to gather from then on. */
      async takes(samples: Samples, first: number): Promise<number> {
        if (!summed) {
          await bring(samples, [first], roundTrip);
          return GATHERED;
        }
        const way = between(NEARBY);
        await time.sleep(way / 2);
        visited(object);
        object.freeAt = Math.max(object.freeAt, time.now) + network.service;
        await time.sleep(object.freeAt - time.now);
        if (measuring()) active += network.service;
        oldest.push(first);
        const answer = sums.answer({ does: 'add', keeper: 'telemetry', samples }, time.now);
        await time.sleep(way / 2);
        return 'every' in answer ? answer.every : GATHERED;
      },
    };
  });
  const place = placing(colos, random);

  const live = async (): Promise<void> => {
    for (;;) {
      const [colo, gap] = [place(), gapOf(random)];
      const end = time.now - Math.log(1 - random()) * LIFETIME;
      let every = GATHERED;
      while (time.now < end) {
        await time.sleep(-Math.log(1 - random()) * gap);
        if (time.now >= start + WARM_UP + MEASURED) return;
        const first = time.now;
        await time.sleep(every);
        const requests = 1 + Math.round(every / gap);
        counted += requests;
        const samples = samplesOf(requests, random);
        for (;;) {
          try {
            every = await colo.takes(samples, first);
            break;
          } catch {
            // As isolates do, which go on counting meanwhile.
            await time.sleep(PAUSE);
          }
        }
      }
    }
  };
  for (let isolate = 0; isolate < isolates; isolate++)
    time.at(start + (random() * WARM_UP) / 4, () => time.start(live));
  await time.pass(WARM_UP + MEASURED + REST);

  const seconds = MEASURED / 1000;
  const sorted = lags.toSorted((one, other) => one - other);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  const objects = summed ? colos.map(({ object }) => object) : [];
  const all = [keeper, ...objects].reduce((sum, { measured }) => sum + measured, 0);
  return {
    keeper: keeper.measured / seconds,
    busiest: Math.max(0, ...objects.map(({ measured }) => measured)) / seconds,
    worst: Math.max(0, ...objects.map(({ worst }) => worst)),
    all: (all + alarms) / seconds,
    refused: refused / seconds,
    alarms: alarms / seconds,
    active: active / MEASURED,
    lag: { p50: at(0.5), p99: at(0.99) },
    bytes: bytes / seconds,
    counted,
    arrived,
  };
}

/** A Durable Object: one thing after another. */
class SimulatedObject {
  freeAt = 0;
  measured = 0;
  /** Requests in the second that had most. */
  worst = 0;
  #second = 0;
  #inSecond = 0;

  visited(now: number, isMeasured: boolean): void {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) this.#inSecond = 0;
    this.#second = second;
    this.worst = Math.max(this.worst, ++this.#inSecond);
    if (isMeasured) this.measured++;
  }
}

/** So many requests of a node with `SERIES` counts by route. */
function samplesOf(requests: number, random: () => number): Samples {
  const kinds = Math.min(SERIES, requests);
  const first = Math.floor(random() * SERIES);
  return {
    route: Array.from({ length: kinds }, (_, index) => {
      const share = Math.floor(requests / kinds) + (index < requests % kinds ? 1 : 0);
      const numbers = new Array<number>(SERIES_NUMBERS).fill(0);
      numbers[5] = share;
      return [LABELS[(first + index) % SERIES] ?? '', numbers];
    }),
  };
}

const LABELS = Array.from({ length: SERIES }, (_, index) =>
  seriesText({
    subject: `11111111-2222-4333-8444-${String(index).padStart(12, '0')}`,
    service: `55555555-2222-4333-8444-${String(index).padStart(12, '0')}`,
    status: 2,
    source: 'service',
  }),
);

function requestsIn(samples: Samples): number {
  return (samples.route ?? []).reduce((sum, [, numbers]) => sum + (numbers[5] ?? 0), 0);
}
