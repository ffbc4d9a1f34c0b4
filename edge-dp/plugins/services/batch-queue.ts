import { messageOf } from '../../../shared/thrown.ts';
import type { LogLevel, QueueOptions, SendBatch } from '../runtime/services.ts';
import { after, OVER } from './after.ts';

type WaitUntil = (work: Promise<unknown>) => void;

/** Why entries were lost: no room for them, one alone longer than all may be, or nobody took them in time. */
export type DropReason = 'full' | 'too_long' | 'not_taken';

/** What became of entries that are lost, for who counts them. `on`: whose time that may take. */
export type Dropped = (queue: string, reason: DropReason, entries: number, on: { waitUntil: WaitUntil }) => void;

/** Takes over a batch that was first tried at `since`. Throws when it cannot. */
export type KeepBatch = (batch: readonly unknown[], since: number) => Promise<void>;

interface Parts {
  readonly name: string;
  readonly options: QueueOptions;
  readonly send: SendBatch<unknown>;
  readonly log: (level: LogLevel, message: string) => void;
  readonly dropped: Dropped;
  /** Milliseconds a request may be used to send. */
  readonly patience: number;
  /** Where what it could not send goes then; null: it waits for another request. */
  readonly keep: KeepBatch | null;
}

interface Entry {
  readonly value: unknown;
  readonly bytes: number;
  /** Milliseconds since the epoch; null: not tried yet. */
  triedAt: number | null;
}

interface Runner {
  readonly since: number;
  readonly waitUntil: WaitUntil;
}

/** A batch beside which no other is sent. */
interface LoneBatch {
  readonly sent: Promise<boolean>;
  /** Milliseconds since the epoch when it must be over. */
  readonly until: number;
}

/** Milliseconds after which another request takes over, so that none is kept for as long as there is traffic. */
const HANDOVER = 10_000;
/** Milliseconds an attempt may take beyond the patience of its request, which the host leaves for that. */
const GRACE = 5_000;
/** Share of `max_entries` at which the log tells that they are filling up. */
const FILLING = 0.8;
/** Milliseconds the last attempt of a batch may take, for those who wait for it. */
const LONGEST_ATTEMPT = 60_000;

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
  #runner: Runner | null = null;
  #batch: LoneBatch | null = null;
  #hurried = false;
  /** Ends the wait for company. */
  #wake: (() => void) | null = null;
  /** Entries dropped since there was no more room: said when that begins and when it is over. */
  #overflowed = 0;
  /** It has been said that there will be no more room soon. */
  #filling = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get pending(): number {
    return this.#entries.length + this.#sending;
  }

  push(value: unknown, waitUntil: WaitUntil, bytes: number): void {
    const { name, options, log, dropped } = this.#parts;
    const { max_bytes, max_batch_size } = options;
    if (max_bytes !== null && bytes > max_bytes) {
      log('error', `queue ${name}: an entry of ${bytes} bytes is longer than max_bytes and was dropped`);
      dropped(name, 'too_long', 1, { waitUntil });
      return;
    }
    this.#entries.push({ value, bytes, triedAt: null });
    this.#bytes += bytes;
    this.#makeRoom(waitUntil);
    this.#warnWhenFilling();
    if (this.#entries.length >= max_batch_size) this.#wake?.();
    const now = Date.now();
    if (this.#runner !== null && now - this.#runner.since < HANDOVER) return;
    const runner = { since: now, waitUntil };
    this.#runner = runner;
    // Whoever sent until now goes on with the batch it has, and no further.
    this.#wake?.();
    waitUntil(this.#run(runner));
  }

  /** What is left, and what still comes, goes at once. */
  hurry(): void {
    this.#hurried = true;
    this.#wake?.();
  }

  async #run(runner: Runner): Promise<void> {
    const { options, patience } = this.#parts;
    const { max_batch_size, max_coalescing_delay, concurrency_limit = 1 } = options;
    while (this.#runner === runner && this.#entries.length > 0) {
      if (this.#entries.length < max_batch_size && !this.#hurried) {
        // Nobody wakes who waits for longer than the request may last.
        await this.#company(Math.min(max_coalescing_delay * 1000, runner.since + patience - Date.now()));
        if (this.#runner !== runner) return;
      }
      if (concurrency_limit === -1) {
        runner.waitUntil(this.#sendBatch(this.#take(), runner));
        continue;
      }
      if (this.#batch !== null) {
        await this.#over(this.#batch);
        continue;
      }
      if (!(await this.#sendAlone(runner))) {
        await this.#keepAll(runner);
        break;
      }
    }
    if (this.#runner === runner) this.#runner = null;
  }

  async #sendAlone(runner: Runner): Promise<boolean> {
    const { options, patience } = this.#parts;
    const longest = Math.min(patience, options.max_retry_time * 1000 + LONGEST_ATTEMPT) + GRACE;
    const sent = this.#sendBatch(this.#take(), runner);
    const batch = { sent, until: Date.now() + longest };
    this.#batch = batch;
    try {
      return await sent;
    } finally {
      if (this.#batch === batch) this.#batch = null;
    }
  }

  /** Whoever takes over waits, so that entries go in order; not for ever, should the runtime have ended the request before. */
  async #over(batch: LoneBatch): Promise<void> {
    const late = after(batch.until - Date.now());
    await Promise.race([batch.sent, late.promise]);
    late.cancel();
    if (this.#batch === batch) this.#batch = null;
  }

  async #company(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.max(milliseconds, 0));
    this.#wake = resolve;
    await promise;
    // Here, where the request is that set it: none can clear another's. It may be an hour, with a batch every instant.
    clearTimeout(timer);
  }

  #take(): readonly Entry[] {
    const batch = this.#entries.splice(0, this.#parts.options.max_batch_size);
    this.#bytes -= weightOf(batch);
    this.#sending += batch.length;
    return batch;
  }

  /** False: the time of this request is up, and somebody else has the batch, or the queue has it back. */
  async #sendBatch(batch: readonly Entry[], runner: Runner): Promise<boolean> {
    const { name, options, log, dropped, patience } = this.#parts;
    const { initial_retry_delay, max_retry_delay, max_retry_time } = options;
    const { since, waitUntil } = runner;
    this.#wake = null;
    this.#roomAgain();
    const values = batch.map(({ value }) => value);
    const triedAt = batch[0]?.triedAt ?? Date.now();
    try {
      for (let attempt = 0; ; attempt++) {
        try {
          await this.#attempt(values, since);
          return true;
        } catch (error) {
          const reason = messageOf(error);
          const now = Date.now();
          const left = triedAt + max_retry_time * 1000 - now;
          if (left <= 0) {
            log('error', `queue ${name}: ${batch.length} entries could not be sent and were dropped: ${reason}`);
            dropped(name, 'not_taken', batch.length, { waitUntil });
            return true;
          }
          log('warn', `queue ${name}: ${batch.length} entries could not be sent and are tried again: ${reason}`);
          const pause = Math.min(max_retry_delay * 1000, initial_retry_delay * 1000 * 2 ** attempt, left);
          if (now + pause > since + patience) {
            await this.#keep(batch, triedAt, waitUntil);
            return false;
          }
          await new Promise((resolve) => setTimeout(resolve, pause));
        }
      }
    } finally {
      this.#sending -= batch.length;
    }
  }

  async #attempt(values: readonly unknown[], since: number): Promise<void> {
    const { send, patience } = this.#parts;
    if (patience === Number.POSITIVE_INFINITY) return send(values);
    const over = after(since + patience + GRACE - Date.now());
    try {
      const late = await Promise.race([send(values), over.promise]);
      if (late === OVER) throw new Error('no answer while the request it is sent on may last');
    } finally {
      over.cancel();
    }
  }

  /** What is still there goes where the batch went, lest it is lost with the isolate. */
  async #keepAll(runner: Runner): Promise<void> {
    if (this.#parts.keep === null) return;
    while (this.#runner === runner && this.#entries.length > 0) {
      const batch = this.#take();
      const [{ triedAt } = { triedAt: null }] = batch;
      try {
        if (!(await this.#keep(batch, triedAt ?? Date.now(), runner.waitUntil))) return;
      } finally {
        this.#sending -= batch.length;
      }
    }
  }

  /** False: nobody takes it, and the queue has it back. */
  async #keep(batch: readonly Entry[], triedAt: number, waitUntil: WaitUntil): Promise<boolean> {
    const { name, log, keep } = this.#parts;
    try {
      if (keep !== null) {
        await keep(
          batch.map(({ value }) => value),
          triedAt,
        );
        return true;
      }
    } catch (error) {
      log('warn', `queue ${name}: ${batch.length} entries wait for another request: ${messageOf(error)}`);
    }
    for (const entry of batch) entry.triedAt = triedAt;
    this.#entries.unshift(...batch);
    this.#bytes += weightOf(batch);
    this.#makeRoom(waitUntil);
    return false;
  }

  /** Drops the oldest while there are too many. */
  #makeRoom(waitUntil: WaitUntil): void {
    const { name, options, log, dropped } = this.#parts;
    const { max_entries, max_bytes } = options;
    let lost = 0;
    while (this.#entries.length > max_entries || (max_bytes !== null && this.#bytes > max_bytes)) {
      this.#bytes -= this.#entries.shift()?.bytes ?? 0;
      lost += 1;
    }
    if (lost === 0) return;
    if (this.#overflowed === 0) log('error', `queue ${name} is full: its oldest entries are dropped`);
    this.#overflowed += lost;
    dropped(name, 'full', lost, { waitUntil });
  }

  /** Before anything is lost. */
  #warnWhenFilling(): void {
    const { name, options, log } = this.#parts;
    const held = this.#entries.length;
    if (held < options.max_entries / 2) this.#filling = false;
    if (this.#filling || held < 2 || held < options.max_entries * FILLING) return;
    log('warn', `queue ${name} holds ${held} entries of ${options.max_entries} it may hold`);
    this.#filling = true;
  }

  #roomAgain(): void {
    const { name, log } = this.#parts;
    if (this.#overflowed > 0) log('error', `queue ${name} has room again: ${this.#overflowed} entries were dropped`);
    this.#overflowed = 0;
  }
}

function weightOf(batch: readonly Entry[]): number {
  return batch.reduce((sum, { bytes }) => sum + bytes, 0);
}
