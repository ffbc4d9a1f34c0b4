import { ColoCache } from '../../../edge-dp/config/colo-cache.ts';
import { askForNews } from '../../../edge-dp/config/news-question.ts';
import { IDLE_INTERVALS, NewsTimes } from '../../../edge-dp/config/news-times.ts';
import { NodeClient } from '../../../edge-dp/config/node.ts';
import { findObject } from '../../../edge-dp/config/objects.ts';
import { SharedNews } from '../../../edge-dp/config/shared-news.ts';
import type { ObjectName } from '../../../shared/bundle/format.ts';
import type { Colo } from './network.ts';
import type { SimulatedTime } from './time.ts';

/** A config as it is published: what isolates tell apart, and the objects that are new in it. */
export interface Published {
  readonly version: string;
  readonly manifest: string;
  readonly objects: readonly ObjectName[];
}

/** What all isolates work with. */
export interface World {
  readonly time: SimulatedTime;
  readonly random: () => number;
  /** Milliseconds. */
  readonly interval: number;
  /** Isolates of a colo share what they are told. */
  readonly shares: boolean;
  /** By their manifests. */
  readonly published: ReadonlyMap<string, Published>;
  /** Milliseconds to verify and compile a change. */
  readonly applying: number;
  /** An isolate that had another version has this one. */
  readonly took: (isolate: SimulatedIsolate, version: string) => void;
}

const NEWS_TIMEOUT = 5_000;
/** Bytes an object of the simulation may have. */
const LARGEST = 1 << 20;

/** An isolate as far as news goes: the Worker's own questions and times, with requests that come at random. */
export class SimulatedIsolate {
  held: Published | null = null;
  /** When the request came that made it ask last, and whether that request waited for the answer. */
  askedAt = 0;
  /** When it was told last whether there is news, and had taken it. */
  toldAt = 0;
  wasAsleep = false;
  #ended = false;
  readonly #world: World;
  readonly #colo: Colo;
  readonly #gap: number;
  readonly #times = new NewsTimes();
  readonly #node: NodeClient;
  readonly #cache: ColoCache;
  readonly #sharing: SharedNews | null;

  /** `gap`: milliseconds between two requests, on average. */
  constructor(world: World, colo: Colo, gap: number) {
    this.#world = world;
    this.#colo = colo;
    this.#gap = gap;
    this.#node = new NodeClient({ NODE: colo.node });
    this.#cache = new ColoCache(colo.cache, 'node');
    const { interval, random, time } = world;
    this.#sharing = world.shares ? new SharedNews({ colo: this.#cache, interval, random, now: () => time.now }) : null;
  }

  /** Starts as the Worker does, with the whole answer of the object, and has requests from then on. */
  async start(): Promise<void> {
    const { time } = this.#world;
    try {
      const news = await this.#node.news(null, { timeout: NEWS_TIMEOUT });
      if (news?.seal !== undefined) this.#cache.unlock(news.seal);
      if (news?.newest) await this.#take(news.newest.manifest);
    } catch {
      // The first question after it makes good for that.
    }
    this.#times.knows(time.now);
    this.#comes();
  }

  /** As if it had started long ago. */
  holds(published: Published, seal: string): void {
    const { time, random, interval } = this.#world;
    this.held = published;
    this.#cache.unlock(seal);
    this.#times.knows(time.now);
    this.#times.asks(time.now, time.now + random() * interval);
    time.at(time.now + random() * interval + this.#next(), () => time.start(() => this.#request()));
  }

  /** It is needed no more, or its machine is. */
  end(): void {
    this.#ended = true;
  }

  /** The next request, with which it may ask. */
  #comes(after = 0): void {
    const { time } = this.#world;
    time.at(time.now + after + this.#next(), () => time.start(() => this.#request()));
  }

  #next(): number {
    return -Math.log(1 - this.#world.random()) * this.#gap;
  }

  async #request(): Promise<void> {
    const { time, interval } = this.#world;
    const { now } = time;
    if (this.#ended) return;
    if (this.#times.isResting(now)) return this.#comes();
    this.askedAt = now;
    this.wasAsleep = this.#times.isAsleep(now, IDLE_INTERVALS * interval);
    this.#times.asks(now, now + interval);
    let holds: number | null = null;
    try {
      const asked = await askForNews({
        held: this.held,
        sharing: this.#sharing,
        ask: (have) => this.#node.news(have, { timeout: NEWS_TIMEOUT }),
        take: (_news, { manifest }) => this.#take(manifest),
      });
      if (asked.known) {
        this.#times.knows(time.now);
        this.toldAt = time.now;
      }
      holds = asked.holds;
    } catch {
      // As the Worker: asked again after the interval, and no request waits meanwhile.
      this.#times.knows(time.now);
    }
    const again = holds === null ? now + interval : time.now + holds;
    this.#times.answered(again);
    this.#comes(Math.max(0, again - time.now));
  }

  async #take(manifest: string): Promise<string | null> {
    const { published, time, applying, took, shares } = this.#world;
    const next = published.get(manifest);
    if (next === undefined) return null;
    const origins = [this.#colo.kv, this.#node];
    for (const name of next.objects)
      await findObject(name, LARGEST, shares ? this.#cache.objects(origins) : origins, () => undefined);
    await time.sleep(applying);
    const isNew = this.held === null;
    this.held = next;
    if (!isNew) took(this, next.version);
    return next.version;
  }
}
