import { messageOf } from '../../../shared/thrown.ts';
import type { LogLevel, Queue, QueueOptions, SendBatch } from '../runtime/services.ts';

type Log = (level: LogLevel, message: string) => void;
type WaitUntil = (work: Promise<unknown>) => void;

/** The queues of an isolate, by name. */
export class Queues {
  readonly #log: Log;
  readonly #open = new Map<string, { readonly queue: BatchQueue; users: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  open<T>(name: string, options: QueueOptions, send: SendBatch<T>): Queue<T> {
    const shared = this.#open.get(name);
    // Those who name the same queue put the same into it.
    const used = shared ?? { queue: new BatchQueue(name, options, send as SendBatch<unknown>, this.#log), users: 0 };
    if (shared === undefined) this.#open.set(name, used);
    used.users += 1;
    let closed = false;
    return {
      push: (entry, on, bytes = 0) => used.queue.push(entry, (work) => on.waitUntil(work), bytes),
      close: () => {
        if (closed) return;
        closed = true;
        used.users -= 1;
        if (used.users > 0) return;
        used.queue.hurry();
        if (this.#open.get(name) === used) this.#open.delete(name);
      },
    };
  }
}

interface Entry {
  readonly value: unknown;
  readonly bytes: number;
}

/**
 * One queue (Kong's `kong/tools/queue.lua`): the first entry of a batch waits at most `max_coalescing_delay` for company; what
 * cannot be sent is tried again, each time later, until `max_retry_time` has passed, and then dropped. The request that
 * opens a batch lends its time to send it.
 */
class BatchQueue {
  readonly #name: string;
  readonly #options: QueueOptions;
  readonly #send: SendBatch<unknown>;
  readonly #log: Log;
  readonly #entries: Entry[] = [];
  #bytes = 0;
  #sending = false;
  #hurried = false;
  /** Ends the wait for company. */
  #wake: (() => void) | null = null;
  /** Said once until there is room again. */
  #full = false;

  constructor(name: string, options: QueueOptions, send: SendBatch<unknown>, log: Log) {
    this.#name = name;
    this.#options = options;
    this.#send = send;
    this.#log = log;
  }

  push(value: unknown, waitUntil: WaitUntil, bytes: number): void {
    const { max_entries, max_bytes, max_batch_size } = this.#options;
    if (max_bytes !== null && bytes > max_bytes) {
      this.#log('error', `queue ${this.#name}: an entry of ${bytes} bytes is longer than max_bytes and was dropped`);
      return;
    }
    this.#entries.push({ value, bytes });
    this.#bytes += bytes;
    while (this.#entries.length > max_entries || (max_bytes !== null && this.#bytes > max_bytes)) this.#dropOldest();
    if (this.#entries.length >= max_batch_size) this.#wake?.();
    if (this.#sending) return;
    this.#sending = true;
    waitUntil(this.#run());
  }

  /** What is left goes at once. */
  hurry(): void {
    this.#hurried = true;
    this.#wake?.();
  }

  async #run(): Promise<void> {
    const { max_batch_size, max_coalescing_delay } = this.#options;
    try {
      while (this.#entries.length > 0) {
        if (this.#entries.length < max_batch_size && !this.#hurried) await this.#company(max_coalescing_delay * 1000);
        await this.#sendBatch(this.#entries.splice(0, max_batch_size));
      }
    } finally {
      this.#sending = false;
    }
  }

  #company(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #sendBatch(batch: readonly Entry[]): Promise<void> {
    this.#wake = null;
    const { initial_retry_delay, max_retry_delay, max_retry_time } = this.#options;
    this.#bytes -= batch.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#full = false;
    const values = batch.map(({ value }) => value);
    const since = Date.now();
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#send(values);
        return;
      } catch (error) {
        const reason = messageOf(error);
        const left = since + max_retry_time * 1000 - Date.now();
        if (left <= 0) {
          this.#log(
            'error',
            `queue ${this.#name}: ${batch.length} entries were dropped, they could not be sent: ${reason}`,
          );
          return;
        }
        this.#log(
          'warn',
          `queue ${this.#name}: ${batch.length} entries could not be sent, they are tried again: ${reason}`,
        );
        const delay = Math.min(max_retry_delay, initial_retry_delay * 2 ** attempt) * 1000;
        await new Promise((resolve) => setTimeout(resolve, Math.min(delay, left)));
      }
    }
  }

  #dropOldest(): void {
    this.#bytes -= this.#entries.shift()?.bytes ?? 0;
    if (this.#full) return;
    this.#full = true;
    this.#log('error', `queue ${this.#name} is full: its oldest entries are dropped`);
  }
}
