import { utf8 } from '../../shared/bundle/canonical.ts';
import { mustBeRecord, recordOrEmpty } from '../../shared/record.ts';
import type { ColoCache } from './colo-cache.ts';
import { type News, parseNews } from './node.ts';

/** What was learned, from another isolate of the colo or from the owner of the link. */
export interface SharedAnswer {
  /** Null: there is nothing newer. */
  readonly news: News | null;
  /** False: somebody else is asking for the first time, and what there is was not to be had yet. */
  readonly known: boolean;
  /** Milliseconds from now until it is to be asked again. */
  readonly holds: number;
  /** Tells the others of the colo, once the news, if any, is in use here; `version` is what is held then. */
  share(version: string): Promise<void>;
}

/** What lies in the cache of the colo. */
interface Entry {
  /** When the owner was asked; milliseconds since the epoch. */
  readonly at: number;
  /** Of its newest manifest then; null: nobody has been told yet. */
  readonly version: string | null;
  /** As it said it; null where it only said that there is nothing newer. */
  readonly news: News | null;
  /** When an isolate set about asking anew. */
  readonly claimed: number | null;
}

/** Of the interval: for how long an answer holds good, and over what span isolates then look again. Together they make a whole one. */
const LIFE = 0.6;
const SPREAD = 0.4;
/** Of the interval: for how long others leave the asking to the one that has begun with it. */
const CLAIM = 0.2;
/** Intervals after which an answer is no answer any more, whoever asks. */
const OLDEST = 2;
/** Milliseconds that clocks within a data center may differ by. */
const SKEW = 1_000;
/** Seconds an entry is kept: what is too old to be an answer still is what goes with a claim. */
const KEPT = 60;
const PLACE = 'news/1';

interface SharedNewsOptions {
  readonly colo: ColoCache;
  /** Milliseconds: within it every isolate that has requests hears of a change, as if each asked for itself. */
  readonly interval: number;
  readonly now?: () => number;
  readonly random?: () => number;
}

/**
 * The question for news, asked once for all isolates of a colo: whoever finds that the answer there has had its time says that it asks,
 * asks the owner of the link, and leaves the new answer for the others. An answer is believed for what its seal is worth, that of the node
 * itself, and verified as if it had been heard. One that is behind what is held is passed over.
 */
export class SharedNews {
  readonly #colo: ColoCache;
  readonly #interval: number;
  readonly #now: () => number;
  readonly #random: () => number;

  constructor({ colo, interval, now = Date.now, random = Math.random }: SharedNewsOptions) {
    this.#colo = colo;
    this.#interval = interval;
    this.#now = now;
    this.#random = random;
  }

  /**
   * `held` is the version that the isolate has; `ask` asks the owner, told that version, or null for the whole answer. Throws what
   * `ask` throws.
   */
  async ask(held: string | null, ask: (have: string | null) => Promise<News | null>): Promise<SharedAnswer> {
    const entry = await this.#read();
    const now = this.#now();
    const usable = entry !== null && !isBehind(entry.version, held) && now - entry.at < OLDEST * this.#interval;
    const fresh = usable && now - entry.at < LIFE * this.#interval;
    const claimed =
      entry?.claimed != null && now - entry.claimed < CLAIM * this.#interval && now >= entry.claimed - SKEW;
    if (entry !== null && (fresh || claimed)) {
      const left = fresh ? LIFE * this.#interval - (now - entry.at) : 0;
      if (usable && entry.version === held) return this.#learned(null, left, true);
      if (usable && entry.news !== null) return this.#learned(entry.news, left, true);
      // Soon: the one that asks has the answer in a moment.
      if (claimed && !fresh) return this.#learned(null, 0, false);
    }
    await this.#write({ ...(entry ?? NOTHING), claimed: now });
    // Where nobody has the whole answer, the next one who lacks it would have to ask, too.
    const whole = held === null || entry?.news == null || entry.version !== held;
    const news = await ask(whole ? null : held);
    if (news?.seal != null) this.#colo.unlock(news.seal);
    return {
      news,
      known: true,
      holds: this.#until(now + LIFE * this.#interval - this.#now()),
      share: async (version) => {
        const passedOn = news ?? (entry?.version === version ? entry.news : null);
        await this.#write({ at: now, version, news: passedOn, claimed: null });
      },
    };
  }

  #learned(news: News | null, left: number, known: boolean): SharedAnswer {
    return { news, known, holds: this.#until(left), share: async () => undefined };
  }

  #until(left: number): number {
    const spread = (left > 0 ? SPREAD : CLAIM) * this.#interval;
    return Math.max(0, left) + this.#random() * spread;
  }

  async #read(): Promise<Entry | null> {
    const bytes = await this.#colo.get(PLACE);
    if (bytes === null) return null;
    try {
      const entry = parseEntry(JSON.parse(new TextDecoder().decode(bytes)));
      return entry.at > this.#now() + SKEW ? null : entry;
    } catch {
      // Of another version of this Worker.
      return null;
    }
  }

  #write(entry: Entry): Promise<void> {
    return this.#colo.put(PLACE, utf8(JSON.stringify(entry)), KEPT);
  }
}

const NOTHING = { at: 0, version: null, news: null };

/** By serials, which never go back for an isolate; null: nobody knows, or nothing is held. */
function isBehind(version: string | null, held: string | null): boolean {
  return version === null || (held !== null && serialOf(version) < serialOf(held));
}

function serialOf(version: string): number {
  return Number(version.split('.', 1)[0]);
}

function parseEntry(value: unknown): Entry {
  const { at, version, news, claimed } = mustBeRecord(value, 'the entry');
  if (typeof at !== 'number') throw new TypeError('at: expected a time');
  return {
    at,
    version: typeof version === 'string' ? version : null,
    news: news == null ? null : parseNews(recordOrEmpty(news)),
    claimed: typeof claimed === 'number' ? claimed : null,
  };
}
