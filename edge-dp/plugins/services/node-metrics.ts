import { METRICS, type MetricsQuestion, type Samples } from '../../durable/state-messages.ts';
import type { Metrics, Queue } from '../runtime/services.ts';
import type { AskState } from './node-state.ts';
import type { Queues } from './queues.ts';

type Lender = { waitUntil(work: Promise<unknown>): void };

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

export const METRICS_QUEUE = 'metrics';

/** Milliseconds after which another request lends its time, should the one that did not have been of use. */
const AGAIN = 5_000;

/** Counts of an isolate on their way to the node, which adds them up. */
export class NodeMetrics implements Metrics {
  readonly #ask: AskState | null;
  readonly #queue: Queue<null>;
  #waiting = new Map<string, Map<string, number[]>>();
  #announcedAt = 0;
  #shown = 0;

  /** Without a node nobody asks for them. */
  constructor(ask: AskState | null, queues: Queues) {
    this.#ask = ask;
    this.#queue = queues.open(METRICS_QUEUE, TOGETHER, () => this.#send());
  }

  get showsUpstreamHealth(): boolean {
    return this.#shown > 0;
  }

  count(family: string, labels: string, amount: number, on: Lender): void {
    const numbers = this.#of(family, labels, 1);
    numbers[0] = (numbers[0] ?? 0) + amount;
    this.#announce(on);
  }

  observe(family: string, bounds: readonly number[], labels: string, value: number, on: Lender): void {
    const numbers = this.#of(family, labels, bounds.length + 2);
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
    numbers[bucket] = (numbers[bucket] ?? 0) + 1;
    numbers[bounds.length + 1] = (numbers[bounds.length + 1] ?? 0) + value;
    this.#announce(on);
  }

  showUpstreamHealth(): () => void {
    this.#shown++;
    let over = false;
    return () => {
      if (!over) this.#shown--;
      over = true;
    };
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
      await this.#ask(METRICS, { does: 'add', samples } satisfies MetricsQuestion);
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
