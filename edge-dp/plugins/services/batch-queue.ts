import { messageOf } from '../../../shared/thrown.ts';
import type { LogLevel, QueueOptions, SendBatch } from '../runtime/services.ts';

type WaitUntil = (work: Promise<unknown>) => void;

interface Parts {
  readonly name: string;
  readonly options: QueueOptions;
  readonly send: SendBatch<unknown>;
  readonly log: (level: LogLevel, message: string) => void;
  /** Milliseconds a request may be used to send; what it could not send then waits for another one. */
  readonly patience: number;
}

interface Entry {
  readonly value: unknown;
  readonly bytes: number;
  /** Milliseconds since the epoch; null: not tried yet. */
  triedAt: number | null;
}

/** Milliseconds after which another request takes over, so that none is kept for as long as there is traffic. */
const HANDOVER = 10_000;

/**
 * One queue (Kong's `kong/tools/queue.lua`): the first entry of a batch waits at most `max_coalescing_delay` for company; what
 * cannot be sent is tried again, each time later, until `max_retry_time` has passed, and then dropped, as the oldest are
 * when there are too many. A Worker has time only while a request, or work it waits for, is under way: the request that adds an
 * entry while nobody sends lends its own.
 */
export class BatchQueue {
  readonly #parts: Parts;
  readonly #entries: Entry[] = [];
  #bytes = 0;
  /** Entries being sent. */
  #sending = 0;
  /** Whoever sends, since when. */
  #runner: { readonly since: number } | null = null;
  #hurried = false;
  /** Ends the wait for company. */
  #wake: (() => void) | null = null;
  /** Said once until there is room again. */
  #full = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get pending(): number {
    return this.#entries.length + this.#sending;
  }

  push(value: unknown, waitUntil: WaitUntil, bytes: number): void {
    const { name, options, log } = this.#parts;
    const { max_bytes, max_batch_size } = options;
    if (max_bytes !== null && bytes > max_bytes) {
      log('error', `queue ${name}: an entry of ${bytes} bytes is longer than max_bytes and was dropped`);
      return;
    }
    this.#entries.push({ value, bytes, triedAt: null });
    this.#bytes += bytes;
    this.#makeRoom();
    if (this.#entries.length >= max_batch_size) this.#wake?.();
    const now = Date.now();
    if (this.#runner !== null && now - this.#runner.since < HANDOVER) return;
    const runner = { since: now };
    this.#runner = runner;
    // Whoever sent until now goes on with the batch it has, and no further.
    this.#wake?.();
    waitUntil(this.#run(runner, waitUntil));
  }

  /** What is left, and what still comes, goes at once. */
  hurry(): void {
    this.#hurried = true;
    this.#wake?.();
  }

  async #run(runner: { readonly since: number }, waitUntil: WaitUntil): Promise<void> {
    const { max_batch_size, max_coalescing_delay, concurrency_limit = 1 } = this.#parts.options;
    while (this.#runner === runner && this.#entries.length > 0) {
      if (this.#entries.length < max_batch_size && !this.#hurried) {
        await this.#company(max_coalescing_delay * 1000);
        if (this.#runner !== runner) return;
      }
      const sent = this.#sendBatch(this.#entries.splice(0, max_batch_size), runner.since);
      if (concurrency_limit === -1) waitUntil(sent);
      else if (!(await sent)) break;
    }
    if (this.#runner === runner) this.#runner = null;
  }

  #company(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      setTimeout(resolve, milliseconds);
      this.#wake = resolve;
    });
  }

  /** False: the time of this request is up, and the batch is back in the queue. */
  async #sendBatch(batch: readonly Entry[], since: number): Promise<boolean> {
    const { name, options, send, log, patience } = this.#parts;
    const { initial_retry_delay, max_retry_delay, max_retry_time } = options;
    const bytes = batch.reduce((sum, entry) => sum + entry.bytes, 0);
    this.#wake = null;
    this.#full = false;
    this.#bytes -= bytes;
    this.#sending += batch.length;
    const values = batch.map(({ value }) => value);
    const triedAt = batch[0]?.triedAt ?? Date.now();
    try {
      for (let attempt = 0; ; attempt++) {
        try {
          await send(values);
          return true;
        } catch (error) {
          const reason = messageOf(error);
          const now = Date.now();
          const left = triedAt + max_retry_time * 1000 - now;
          if (left <= 0) {
            log('error', `queue ${name}: ${batch.length} entries could not be sent and were dropped: ${reason}`);
            return true;
          }
          log('warn', `queue ${name}: ${batch.length} entries could not be sent and are tried again: ${reason}`);
          const pause = Math.min(max_retry_delay * 1000, initial_retry_delay * 1000 * 2 ** attempt, left);
          if (now + pause > since + patience) {
            for (const entry of batch) entry.triedAt = triedAt;
            this.#entries.unshift(...batch);
            this.#bytes += bytes;
            this.#makeRoom();
            return false;
          }
          await new Promise((resolve) => setTimeout(resolve, pause));
        }
      }
    } finally {
      this.#sending -= batch.length;
    }
  }

  /** Drops the oldest while there are too many. */
  #makeRoom(): void {
    const { name, options, log } = this.#parts;
    const { max_entries, max_bytes } = options;
    while (this.#entries.length > max_entries || (max_bytes !== null && this.#bytes > max_bytes)) {
      this.#bytes -= this.#entries.shift()?.bytes ?? 0;
      if (this.#full) continue;
      this.#full = true;
      log('error', `queue ${name} is full: its oldest entries are dropped`);
    }
  }
}
