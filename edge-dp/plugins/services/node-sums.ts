import type { Samples } from '../../durable/state-messages.ts';
import type { Queue } from '../runtime/services.ts';
import type { AskState } from './node-state.ts';
import type { Queues } from './queues.ts';

/** Whose time may be used to send. */
export type Lender = { waitUntil(work: Promise<unknown>): void };

/** What is counted goes to the node together, a second after the first of it. */
const TOGETHER = {
  max_batch_size: 1_000,
  max_coalescing_delay: 1,
  max_entries: 1_000,
  max_bytes: null,
  initial_retry_delay: 0.5,
  max_retry_delay: 5,
  max_retry_time: 60,
};

/** Milliseconds after which another request lends its time, should the one that did not have been of use. */
const AGAIN = 5_000;

/** Sums of an isolate on their way to one of the node's keepers, which adds those of all isolates up (`{does: 'add', samples}`). */
export class NodeSums {
  readonly #ask: AskState | null;
  readonly #keeper: string;
  readonly #queue: Queue<null>;
  #waiting = new Map<string, Map<string, number[]>>();
  #announcedAt = 0;

  /** Without a node nobody asks for them. `queue` is the name of the queue that they wait in. */
  constructor(
    ask: AskState | null,
    queues: Queues,
    { keeper, queue }: { readonly keeper: string; readonly queue: string },
  ) {
    this.#ask = ask;
    this.#keeper = keeper;
    this.#queue = queues.open(queue, TOGETHER, () => this.#send());
  }

  /** Numbers, as many as `length`, for the caller to add to at once. */
  of(family: string, labels: string, length: number, on: Lender): number[] {
    const numbers = this.#of(family, labels, length);
    this.#announce(on);
    return numbers;
  }

  /** Whether one more of a family is one of `most`, or there already. */
  hasRoom(family: string, labels: string, most: number): boolean {
    const sets = this.#waiting.get(family);
    return sets === undefined || sets.size < most || sets.has(labels);
  }

  #of(family: string, labels: string, length: number): number[] {
    let sets = this.#waiting.get(family);
    if (sets === undefined) {
      sets = new Map();
      this.#waiting.set(family, sets);
    }
    let numbers = sets.get(labels);
    if (numbers === undefined) {
      numbers = new Array<number>(length).fill(0);
      sets.set(labels, numbers);
    }
    return numbers;
  }

  #announce(on: Lender): void {
    const now = Date.now();
    if (Math.abs(now - this.#announcedAt) < AGAIN) return;
    this.#announcedAt = now;
    this.#queue.push(null, on);
  }

  async #send(): Promise<void> {
    this.#announcedAt = 0;
    const taken = this.#waiting;
    if (taken.size === 0 || this.#ask === null) return;
    this.#waiting = new Map();
    const samples: Samples = Object.fromEntries([...taken].map(([family, sets]) => [family, [...sets]]));
    try {
      await this.#ask(this.#keeper, { does: 'add', samples });
    } catch (error) {
      this.#takeBack(taken);
      throw error;
    }
  }

  #takeBack(taken: ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>): void {
    for (const [family, sets] of taken) {
      for (const [labels, own] of sets) {
        const numbers = this.#of(family, labels, own.length);
        for (const [at, number] of own.entries()) numbers[at] = (numbers[at] ?? 0) + number;
      }
    }
  }
}
