import { mustBeRecord, type Row } from '../../shared/record.ts';
import { TELEMETRY_INTERVAL } from '../../shared/telemetry/messages.ts';
import { messageOf } from '../../shared/thrown.ts';
import { ColoPace } from './colo-pace.ts';
import { number } from './message-fields.ts';
import { METRICS, parseSamples, type Samples, TELEMETRY } from './state-messages.ts';
import { Sums } from './sums.ts';

/** The keepers whose sums are gathered by colo. */
const KEEPERS = [TELEMETRY, METRICS] as const;
type Keeper = (typeof KEEPERS)[number];

/** Label sets that wait for the node's keepers; beyond, isolates keep what they have. */
const MOST_SETS = 50_000;
/** Milliseconds after which what is left is passed on although nobody comes any more. Whoever comes later than the interval does it at once. */
const LEFT_OVER = 2 * TELEMETRY_INTERVAL;

interface ColoSumsOptions {
  /** To a keeper of the node. Throws when it does not take them. */
  readonly pass: (keeper: string, samples: Samples) => Promise<void>;
  /** Asks for `alarm` at a time: milliseconds since the epoch. */
  readonly wakeAt: (time: number) => void;
  readonly later: (work: Promise<unknown>) => void;
  readonly warn: (message: string) => void;
}

/** What is told to an isolate: milliseconds to gather before it comes again. */
export interface ColoSumsAnswer {
  readonly every: number;
}

/** Throws a `TypeError` for what is none. */
export function parseColoAnswer(value: unknown): ColoSumsAnswer {
  return { every: number(mustBeRecord(value, 'the answer'), 'every') };
}

/** For those who ask: messages from isolates, and messages to the node's keepers. */
export interface ColoSumsStanding {
  readonly taken: number;
  readonly passed: number;
}

/**
 * What the isolates of one of Cloudflare's data centers (colos) have counted, added up there in memory and passed on to the node's keepers once an
 * interval: these hear of each colo as often as of an isolate, however many isolates there are.
 */
export class ColoSums {
  readonly #options: ColoSumsOptions;
  readonly #pace = new ColoPace();
  readonly #waiting = new Map<Keeper, Sums>();
  #passedAt = Number.NEGATIVE_INFINITY;
  #passing = false;
  #wakes = Number.NEGATIVE_INFINITY;
  #complained = false;
  #taken = 0;
  #passed = 0;

  constructor(options: ColoSumsOptions) {
    this.#options = options;
  }

  /** Somebody has come since the object came to life. */
  get isHere(): boolean {
    return this.#taken > 0;
  }

  /**
   * Answers isolates (`{does: 'add', keeper, samples}`) and who asks how it is (`{does: 'show'}`). Throws a `TypeError` for anything else, and an
   * `Error` where there is no room: then nothing was added.
   */
  answer(question: Readonly<Row>, now: number): ColoSumsAnswer | ColoSumsStanding {
    if (question.does === 'show') return { taken: this.#taken, passed: this.#passed };
    const keeper = KEEPERS.find((one) => one === question.keeper);
    if (question.does !== 'add' || keeper === undefined) throw new TypeError('no question about the sums of a colo');
    this.#add(keeper, parseSamples(question.samples));
    this.#taken++;
    const every = this.#pace.came(now);
    const rested = now - this.#passedAt;
    if (!this.#passing && (rested < 0 || rested >= TELEMETRY_INTERVAL)) this.#options.later(this.#pass(now));
    else if (this.#wakes <= now) this.#wakeAt(now + LEFT_OVER);
    return { every };
  }

  /** Never throws. */
  async alarm(now: number): Promise<void> {
    this.#wakes = Number.NEGATIVE_INFINITY;
    if (this.#waiting.size === 0) return;
    if (!this.#passing && now - this.#passedAt >= TELEMETRY_INTERVAL) await this.#pass(now);
    if (this.#waiting.size > 0) this.#wakeAt(now + LEFT_OVER);
  }

  #add(keeper: Keeper, samples: Samples): void {
    const sums = this.#waiting.get(keeper) ?? new Sums();
    if (sums.size + sums.grownBy(samples) > MOST_SETS)
      throw new Error(`more than ${MOST_SETS} sums of this data center wait for the node's keeper of ${keeper}`);
    sums.add(samples);
    this.#waiting.set(keeper, sums);
  }

  #wakeAt(time: number): void {
    this.#wakes = time;
    this.#options.wakeAt(time);
  }

  async #pass(now: number): Promise<void> {
    this.#passing = true;
    this.#passedAt = now;
    try {
      await Promise.all(KEEPERS.map((keeper) => this.#passTo(keeper)));
    } finally {
      this.#passing = false;
    }
    // They are tried again, also where nobody comes any more.
    if (this.#waiting.size > 0 && this.#wakes <= now) this.#wakeAt(now + LEFT_OVER);
  }

  async #passTo(keeper: Keeper): Promise<void> {
    const sums = this.#waiting.get(keeper);
    if (sums === undefined) return;
    this.#waiting.delete(keeper);
    try {
      await this.#options.pass(keeper, sums.samples);
      this.#passed++;
      this.#complained = false;
    } catch (error) {
      const since = this.#waiting.get(keeper);
      if (since !== undefined) sums.add(since.samples);
      this.#waiting.set(keeper, sums);
      if (!this.#complained)
        this.#options.warn(
          `${keeper}: what this data center counted waits, its keeper does not take it: ${messageOf(error)}`,
        );
      this.#complained = true;
    }
  }
}
