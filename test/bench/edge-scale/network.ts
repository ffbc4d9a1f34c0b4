import { answerNode, type News, type NodeOwner } from '../../../edge-dp/config/node.ts';
import type { ObjectOrigin } from '../../../edge-dp/config/objects.ts';
import type { EdgeCache } from '../../../edge-dp/http/edge-cache.ts';
import type { Bytes, ObjectName } from '../../../shared/bundle/format.ts';
import type { SimulatedTime } from './time.ts';

/** What is assumed of Cloudflare's network; times in milliseconds. */
export interface Network {
  readonly colos: number;
  /** Of a look into the cache of a colo, and of putting something there. */
  readonly cacheGet: readonly [number, number];
  readonly cachePut: readonly [number, number];
  /** From a colo to the object and back; each colo has one of its own. */
  readonly roundTrip: readonly [number, number];
  readonly kvGet: readonly [number, number];
  /** Of colos, how many have what is new in KV only after `kvLag` at most. */
  readonly kvBehind: number;
  readonly kvLag: number;
  /** Of questions to the object, how many are lost: nobody answers until the isolate gives up. */
  readonly lost: number;
  readonly giveUp: number;
  /** Time of the object for each request, one after another, and how much may wait before it says that it is overloaded. */
  readonly service: number;
  readonly overloaded: number;
}

export const CLOUDFLARE: Network = {
  colos: 330,
  cacheGet: [2, 12],
  cachePut: [4, 20],
  roundTrip: [10, 300],
  kvGet: [10, 60],
  kvBehind: 0.3,
  kvLag: 60_000,
  lost: 0.01,
  giveUp: 5_000,
  service: 1,
  overloaded: 2_000,
};

/** What the object, and KV, were asked for. */
export class Counts {
  questions = 0;
  objects = 0;
  refused = 0;
  bytes = 0;
  kvReads = 0;
}

/** The one Durable Object of a node, behind `env.NODE`: the real answers, and the time of one that does one thing after another. */
export class SimulatedOwner {
  readonly #time: SimulatedTime;
  readonly #network: Network;
  readonly #random: () => number;
  readonly #objects = new Map<ObjectName, Bytes>();
  readonly counts = new Counts();
  /** Requests by second. */
  readonly perSecond = new Map<number, number>();
  #news: News & { readonly version: string | null };
  #freeAt = 0;
  #awayUntil = 0;

  constructor(time: SimulatedTime, network: Network, random: () => number) {
    this.#time = time;
    this.#network = network;
    this.#random = random;
    const seal = btoa('k'.repeat(32));
    this.#news = { cluster: null, highestSerial: null, statements: [], newest: null, version: null, seal };
  }

  /** It has taken a config. */
  applies(version: string, manifest: string, objects: ReadonlyMap<ObjectName, Bytes>): void {
    const highestSerial = Number(version.split('.')[0]);
    this.#news = { ...this.#news, newest: { manifest, introductions: [] }, highestSerial, version };
    for (const [name, bytes] of objects) this.#objects.set(name, bytes);
  }

  /** It moves to another machine: nobody answers for so long. */
  moves(milliseconds: number): void {
    this.#awayUntil = this.#time.now + milliseconds;
  }

  /** As an isolate of a colo reaches it. */
  reachedIn(roundTrip: number): Pick<Fetcher, 'fetch'> {
    return {
      fetch: (input) => this.#fetch(new Request(input instanceof Request ? input.url : String(input)), roundTrip),
    };
  }

  async #fetch(request: Request, roundTrip: number): Promise<Response> {
    const { lost, giveUp, service, overloaded } = this.#network;
    await this.#time.sleep(roundTrip / 2);
    const { now } = this.#time;
    const second = Math.floor(now / 1000);
    this.perSecond.set(second, (this.perSecond.get(second) ?? 0) + 1);
    if (request.url.includes('/objects/')) this.counts.objects++;
    else this.counts.questions++;
    if (this.#random() < lost) {
      await this.#time.sleep(giveUp - roundTrip / 2);
      throw new Error('nobody answers');
    }
    if (now < this.#awayUntil || this.#freeAt - now > overloaded) {
      this.counts.refused++;
      await this.#time.sleep(roundTrip / 2);
      throw new Error(now < this.#awayUntil ? 'the object is moving' : 'the object is overloaded');
    }
    this.#freeAt = Math.max(this.#freeAt, now) + service;
    await this.#time.sleep(this.#freeAt - now + roundTrip / 2);
    const response = await answerNode(request, this.#owner);
    const body = response.status === 204 ? null : await response.arrayBuffer();
    this.counts.bytes += body?.byteLength ?? 0;
    return new Response(body, response);
  }

  readonly #owner: NodeOwner = {
    news: async () => this.#news,
    nextNews: async () => undefined,
    answered: () => undefined,
    has: () => undefined,
    heard: () => undefined,
    object: async (name) => this.#objects.get(name) ?? null,
    report: async ({ type }) => console.error(`reported: ${type}`),
    linkState: { connected: true, withheld: null, ordersRefused: 0, configsRefused: 0, cacheErrors: 0 },
    records: async () => null,
    counts: async () => null,
    proof: async () => '',
    sampled: () => undefined,
  };
}

/** A data center: its cache, what it sees of KV, and how far away the object is. */
export class Colo {
  readonly cache: EdgeCache;
  readonly kv: ObjectOrigin;
  readonly node: Pick<Fetcher, 'fetch'>;

  constructor(time: SimulatedTime, network: Network, random: () => number, owner: SimulatedOwner, kv: SimulatedKv) {
    const kept = new Map<string, { readonly bytes: Uint8Array; readonly until: number }>();
    const between = ([least, most]: readonly [number, number]) => time.sleep(least + random() * (most - least));
    this.cache = {
      async get(key) {
        await between(network.cacheGet);
        const found = kept.get(key);
        return found === undefined || found.until < time.now ? null : found.bytes;
      },
      async put(key, bytes, { ttl }) {
        await between(network.cachePut);
        kept.set(key, { bytes, until: time.now + ttl * 1000 });
      },
    };
    const behind = random() < network.kvBehind;
    const lag = behind ? random() * network.kvLag : 0;
    this.kv = {
      name: 'KV',
      async get(name) {
        await between(network.kvGet);
        owner.counts.kvReads++;
        const found = kv.get(name);
        return found === undefined || found.at + lag > time.now ? null : found.bytes;
      },
    };
    const [nearest, farthest] = network.roundTrip;
    this.node = owner.reachedIn(nearest + random() * (farthest - nearest));
  }
}

/** What was written to KV, and when. */
export type SimulatedKv = Map<ObjectName, { readonly bytes: Bytes; readonly at: number }>;
