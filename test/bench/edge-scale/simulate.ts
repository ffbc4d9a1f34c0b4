import type { Bytes, ObjectName } from '../../../shared/bundle/format.ts';
import { packObject } from '../../../shared/bundle/object.ts';
import { type Published, SimulatedIsolate, type World } from './isolates.ts';
import { Colo, type Network, type SimulatedKv, SimulatedOwner } from './network.ts';
import { gapOf, LIFETIME, placing, randomFrom } from './population.ts';
import { SimulatedTime } from './time.ts';

export interface Scenario {
  readonly isolates: number;
  /** Isolates of a colo share what they are told; false: each asks for itself. */
  readonly shares: boolean;
  readonly network: Network;
  /** How much of the network is simulated, up to 1, which is all of it: of colos and isolates so many, and an object slower by as much. */
  readonly part?: number;
  /** Makes the same run again. */
  readonly seed?: number;
}

/** Milliseconds from a change at the object until isolates had it, of those that were serving. */
export interface Propagation {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Isolates that had been idle, and answered one more request by the config before, since the answer took too long. */
  readonly late: number;
  /** Isolates that were told that there is nothing newer, long after there was. */
  readonly missing: number;
}

export interface Outcome {
  /** Requests a second to the object: while nothing changes, and in the worst second of a change. */
  readonly steady: number;
  readonly peak: number;
  /** The same in the worst second after the object is back from a move. */
  readonly peakAfterMove: number;
  /** Of these, those that it was too busy for. */
  readonly refused: number;
  readonly change: Propagation;
  /** Of one that was made while the object moved, from its being back. */
  readonly afterMove: Propagation;
  /** Bytes the object sent a second while nothing changed, and for the change. */
  readonly steadyBytes: number;
  readonly changeBytes: number;
  /** Reads of KV, and requests to the object beyond the steady ones, for one change. */
  readonly kvReads: number;
  readonly changeRequests: number;
}

/** Milliseconds, of `newsInterval`. */
const INTERVAL = 5_000;
/** Milliseconds a request of an isolate that was idle waits for the answer. */
const PATIENCE = 50;
/** Milliseconds that an isolate takes to verify and compile a change. */
const APPLYING = 10;
const SEAL = btoa('k'.repeat(32));
/** Characters of a manifest with its signature; objects that are new in a change, and rows of each. */
const MANIFEST = 2_000;
const NEW_OBJECTS = 2;
const ROWS = 200;

const WARM_UP = 15_000;
const STEADY = 15_000;
const WATCHED = 30_000;
const MOVE = 10_000;

/** A minute and a half of a node on Cloudflare's network: nothing, a change, and a change while its Durable Object moves. */
export async function simulate({ isolates, shares, network: whole, part = 1, seed = 1 }: Scenario): Promise<Outcome> {
  const count = Math.round(isolates * part);
  const network = { ...whole, colos: Math.round(whole.colos * part), service: whole.service / part };
  const time = new SimulatedTime();
  const random = randomFrom(seed);
  const owner = new SimulatedOwner(time, network, random);
  const kv: SimulatedKv = new Map();
  const colos = Array.from({ length: network.colos }, () => new Colo(time, network, random, owner, kv));
  const published = new Map<string, Published>();
  let watch: Watch | null = null;
  const world: World = {
    time,
    random,
    interval: INTERVAL,
    shares,
    published,
    applying: APPLYING,
    took: (isolate, version) => watch?.took(isolate, version, time.now),
  };
  const publish = async (serial: number): Promise<Published> => {
    const objects = new Map<ObjectName, Bytes>();
    for (let index = 0; index < NEW_OBJECTS; index++) {
      const rows = Array.from({ length: ROWS }, (_, row) => ({ id: `${serial} ${index} ${row} ${random()}` }));
      const { object } = await packObject({ table: 'routes', rows });
      objects.set(object.name, object.gzip);
    }
    const version = `${serial}.${'0'.repeat(64)}`;
    const manifest = `${serial} `.padEnd(MANIFEST, 'm');
    const next: Published = { version, manifest, objects: [...objects.keys()] };
    published.set(manifest, next);
    // As the object does: objects first.
    for (const [name, bytes] of objects) kv.set(name, { bytes, at: time.now });
    owner.applies(version, manifest, objects);
    return next;
  };

  const first = await publish(1);
  const place = placing(colos, random);
  const born = () => new SimulatedIsolate(world, place(), gapOf(random));
  const all = Array.from({ length: count }, born);
  for (const isolate of all) isolate.holds(first, SEAL);
  const churn = (): void => {
    const index = Math.floor(random() * count);
    all[index]?.end();
    const next = born();
    all[index] = next;
    time.start(() => next.start());
    time.at(time.now + (-Math.log(1 - random()) * LIFETIME) / count, churn);
  };
  churn();

  // What the whole of the network would have come to.
  const inAll = (amount: number) => amount / part;
  const counted = () => {
    const { questions, objects, bytes, kvReads, refused } = owner.counts;
    return {
      requests: inAll(questions + objects),
      bytes: inAll(bytes),
      kvReads: inAll(kvReads),
      refused: inAll(refused),
    };
  };
  const worstSecond = (from: number): number => {
    let worst = 0;
    for (const [second, requests] of owner.perSecond)
      if (second >= Math.floor(from / 1000)) worst = Math.max(worst, inAll(requests));
    return worst;
  };
  await time.pass(WARM_UP);
  const before = counted();
  await time.pass(STEADY);
  const after = counted();
  const aSecond = (amount: number) => (amount * 1000) / STEADY;
  const [steady, steadyBytes] = [aSecond(after.requests - before.requests), aSecond(after.bytes - before.bytes)];

  const changed = time.now;
  watch = new Watch((await publish(2)).version, changed);
  await time.pass(WATCHED);
  const change = watch.outcome(all, inAll);
  const then = counted();
  const peak = worstSecond(changed);
  const seconds = WATCHED / 1000;

  owner.moves(MOVE);
  await time.pass(MOVE);
  const back = time.now;
  watch = new Watch((await publish(3)).version, back);
  await time.pass(WATCHED);
  return {
    steady,
    peak,
    refused: then.refused,
    change,
    afterMove: watch.outcome(all, inAll),
    peakAfterMove: worstSecond(back),
    steadyBytes,
    changeBytes: Math.max(0, then.bytes - after.bytes - steadyBytes * seconds),
    kvReads: then.kvReads - after.kvReads,
    changeRequests: Math.max(0, then.requests - after.requests - steady * seconds),
  };
}

/** Who has a change, and when. */
class Watch {
  readonly #version: string;
  readonly #since: number;
  readonly #delays: number[] = [];
  #late = 0;

  constructor(version: string, since: number) {
    this.#version = version;
    this.#since = since;
  }

  took(isolate: SimulatedIsolate, version: string, now: number): void {
    if (version !== this.#version) return;
    if (!isolate.wasAsleep) this.#delays.push(now - this.#since);
    else if (now - isolate.askedAt > PATIENCE) this.#late++;
  }

  outcome(all: readonly SimulatedIsolate[], inAll: (amount: number) => number): Propagation {
    const sorted = this.#delays.toSorted((one, other) => one - other);
    const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    // Those that were told something when no answer from before the change was one any more.
    const missing = all.filter(
      ({ held, toldAt }) => held?.version !== this.#version && toldAt > this.#since + 2 * INTERVAL,
    ).length;
    return { p50: at(0.5), p99: at(0.99), max: at(1), late: inAll(this.#late), missing: inAll(missing) };
  }
}
