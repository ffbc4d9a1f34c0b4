import { parseColoAnswer } from '../../durable/colo-sums.ts';
import { COLO_SUMS, type Samples } from '../../durable/state-messages.ts';
import { Sums } from '../../durable/sums.ts';
import type { Queue } from '../runtime/services.ts';
import type { AskState } from './node-state.ts';
import type { Queues } from './queues.ts';

/** Whose time may be used to send. */
export type Lender = { waitUntil(work: Promise<unknown>): void };

/** What is counted goes to the node together; when, is said apart. */
const TOGETHER = {
  max_batch_size: 1_000,
  max_entries: 1_000,
  max_bytes: null,
  initial_retry_delay: 0.5,
  max_retry_delay: 5,
  max_retry_time: 60,
};

/** Milliseconds from the first count until all of them are sent, unless a data center says another time. */
const GATHERED = 1_000;
/** Milliseconds more after which another request lends its time, should the one that did not have been of use. */
const AGAIN = 4_000;

interface NodeSumsOptions {
  readonly keeper: string;
  /** The name of the queue that they wait in. */
  readonly queue: string;
  /** Where they are added up first, by the sums of the data center; null: they go straight to the keeper. */
  readonly colo: () => string | null;
}

/** Sums of an isolate on their way to one of the node's keepers, which adds those of all isolates up (`{does: 'add', samples}`). */
export class NodeSums {
  readonly #ask: AskState | null;
  readonly #options: NodeSumsOptions;
  readonly #queue: Queue<null>;
  #waiting = new Sums();
  #announcedAt = 0;
  #gathered = GATHERED;

  /** Without a node nobody asks for them. */
  constructor(ask: AskState | null, queues: Queues, options: NodeSumsOptions) {
    this.#ask = ask;
    this.#options = options;
    const gathered = (): number => this.#gathered;
    const together = {
      ...TOGETHER,
      get max_coalescing_delay() {
        return gathered() / 1000;
      },
    };
    this.#queue = queues.open(options.queue, together, () => this.#send());
  }

  /** Numbers, as many as `length`, for the caller to add to at once. */
  of(family: string, labels: string, length: number, on: Lender): number[] {
    const numbers = this.#waiting.of(family, labels, length);
    this.#announce(on);
    return numbers;
  }

  /** Whether one more of a family is one of `most`, or there already. */
  hasRoom(family: string, labels: string, most: number): boolean {
    return this.#waiting.sizeOf(family) < most || this.#waiting.has(family, labels);
  }

  #announce(on: Lender): void {
    const now = Date.now();
    if (Math.abs(now - this.#announcedAt) < this.#gathered + AGAIN) return;
    this.#announcedAt = now;
    this.#queue.push(null, on);
  }

  async #send(): Promise<void> {
    this.#announcedAt = 0;
    const taken = this.#waiting;
    if (taken.size === 0 || this.#ask === null) return;
    this.#waiting = new Sums();
    const { samples } = taken;
    try {
      await this.#bring(this.#ask, samples);
    } catch (error) {
      this.#waiting.add(samples);
      throw error;
    }
  }

  async #bring(ask: AskState, samples: Samples): Promise<void> {
    const { keeper, colo } = this.#options;
    const place = colo();
    if (place === null) await ask(keeper, { does: 'add', samples });
    else this.#gathered = parseColoAnswer(await ask(`${COLO_SUMS}/${place}`, { does: 'add', keeper, samples })).every;
  }
}
