import type { LogLevel, Queue, QueueOptions, SendBatch } from '../runtime/services.ts';
import { BatchQueue, type Dropped, type KeepBatch } from './batch-queue.ts';

type Log = (level: LogLevel, message: string) => void;

/** How the queues of an isolate end. */
interface QueueTerms {
  /** Milliseconds a request may be used to send what is queued; absent: the host sets no end. */
  readonly patience?: number;
  /** Absent: nobody counts. */
  readonly dropped?: Dropped;
}

/** The queues of an isolate, by name. */
export class Queues {
  readonly #log: Log;
  readonly #terms: QueueTerms;
  readonly #open = new Map<string, { readonly queue: BatchQueue; users: number }>();
  /** Nobody uses these any more, but not all of theirs is sent. */
  readonly #closing = new Set<BatchQueue>();
  #hurried = false;

  constructor(log: Log, terms: QueueTerms = {}) {
    this.#log = log;
    this.#terms = terms;
  }

  /** `keep`: takes what could not be sent while a request lasts; absent: it waits for another one. */
  open<T>(
    name: string,
    options: QueueOptions,
    send: SendBatch<T>,
    keep: ((batch: readonly T[], since: number) => Promise<void>) | null = null,
  ): Queue<T> {
    const shared = this.#open.get(name);
    // Those who name the same queue put the same into it.
    const made = () => this.#made(name, options, send as SendBatch<unknown>, keep as KeepBatch | null);
    const used = shared ?? { queue: made(), users: 0 };
    if (shared === undefined) this.#open.set(name, used);
    used.users += 1;
    let closed = false;
    return {
      push: (entry, on, bytes = 0) => {
        // Of a request that began before.
        if (used.users === 0) this.#closing.add(used.queue);
        used.queue.push(entry, (work) => on.waitUntil(work), bytes);
      },
      close: () => {
        if (closed) return;
        closed = true;
        used.users -= 1;
        if (used.users > 0) return;
        used.queue.hurry();
        if (this.#open.get(name) === used) this.#open.delete(name);
        this.#forgetSent();
        this.#closing.add(used.queue);
      },
    };
  }

  /** The isolate is about to end: from now on nothing waits for company. */
  hurry(): void {
    this.#hurried = true;
    for (const { queue } of this.#open.values()) queue.hurry();
  }

  /** Entries that have not been sent yet. */
  get pending(): number {
    let pending = 0;
    for (const { queue } of this.#open.values()) pending += queue.pending;
    this.#forgetSent();
    for (const queue of this.#closing) pending += queue.pending;
    return pending;
  }

  /** Of those that close: with each that comes, for it is only near the end of an isolate that somebody asks what is pending. */
  #forgetSent(): void {
    for (const queue of this.#closing) if (queue.pending === 0) this.#closing.delete(queue);
  }

  #made(name: string, options: QueueOptions, send: SendBatch<unknown>, keep: KeepBatch | null): BatchQueue {
    const { patience = Number.POSITIVE_INFINITY, dropped = () => undefined } = this.#terms;
    const queue = new BatchQueue({ name, options, send, log: this.#log, dropped, patience, keep });
    if (this.#hurried) queue.hurry();
    return queue;
  }
}
