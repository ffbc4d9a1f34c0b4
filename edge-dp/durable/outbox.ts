import { messageOf } from '../../shared/thrown.ts';
import type { Delivery } from '../plugins/runtime/services.ts';
import type { DropReason } from '../plugins/services/batch-queue.ts';
import type { OutboxAnswer, OutboxQuestion, Parcel } from './outbox-messages.ts';

/** What an outbox uses of a Durable Object's storage. */
export interface OutboxStorage {
  get<T>(key: string): Promise<T | undefined>;
  /** All of them or none. */
  put<T>(entries: Record<string, T>): Promise<void>;
  delete(keys: string[]): Promise<number>;
  list<T>(of: { readonly prefix: string; readonly limit?: number }): Promise<Map<string, T>>;
  getAlarm(): Promise<number | null>;
  setAlarm(at: number): Promise<void>;
}

interface OutboxOptions {
  readonly storage: OutboxStorage;
  /** Throws when the server does not take it. */
  readonly send: (delivery: Delivery) => Promise<void>;
  readonly log: (level: 'warn' | 'error', message: string) => void;
  /** Counts what is lost. */
  readonly dropped: (queue: string, reason: DropReason, entries: number) => void;
  readonly most?: Most;
}

/** What may wait, all queues together; bytes of bodies. */
interface Most {
  readonly bytes: number;
  readonly parcels: number;
}

/** A parcel on disk, without its body, which lies beside it in parts. */
interface Kept extends Omit<Parcel, 'delivery'> {
  readonly delivery: Omit<Delivery, 'body'>;
  readonly bytes: number;
}

/** How a queue's server takes what it is sent. */
interface Server {
  /** Attempts that failed since it last took something. */
  failures: number;
  /** Milliseconds since the epoch when it is tried next. */
  due: number;
  sending: boolean;
}

const MOST: Most = { bytes: 32 << 20, parcels: 2_000 };
/** Bytes of a part: a row of SQLite in a Durable Object holds two million. */
const PART = 1 << 20;
/** Keys that can be deleted at once. */
const DELETED_AT_ONCE = 128;
/** Milliseconds between two attempts at least, whatever a plugin's retries are set to: each wakes the object. */
const SHORTEST_PAUSE = 1_000;
/** Milliseconds one alarm goes on sending; another takes over then. */
const SHIFT = 60_000;

const PARCEL = 'parcel/';

/**
 * Batches that queues could not send while a request lasted: on disk, tried again by alarm as their plugin's queue says, in the order
 * in which they came, and dropped after `max_retry_time`, or, the oldest, when there are too many.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #most: Most;
  /** By number, oldest first. */
  readonly #parcels = new Map<number, Kept>();
  readonly #servers = new Map<string, Server>();
  #loaded: Promise<void> | null = null;
  #number = 0;
  #bytes = 0;
  /** Entries dropped since there was no more room. */
  #overflowed = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#most = options.most ?? MOST;
  }

  async answer(question: OutboxQuestion, now: number): Promise<OutboxAnswer> {
    await this.#load(now);
    if (question.does === 'keep') await this.#keep(question.parcel, now);
    return { waiting: [...this.#parcels.values()].reduce((sum, { entries }) => sum + entries, 0) };
  }

  /** Whether this instance is the outbox: the class has other tasks too. */
  async isHere(): Promise<boolean> {
    return this.#loaded !== null || (await this.#options.storage.list({ prefix: PARCEL, limit: 1 })).size > 0;
  }

  /** Sends what is due. */
  async alarm(now: number): Promise<void> {
    await this.#load(now);
    const due = [...this.#servers].filter(([, server]) => server.due <= now && !server.sending);
    await Promise.all(due.map(([queue, server]) => this.#sendAll(queue, server, now + SHIFT)));
    await this.#arm();
  }

  #load(now: number): Promise<void> {
    this.#loaded ??= this.#read(now).catch((error: unknown) => {
      // A disk that does not answer for a moment: the next finds out anew.
      this.#loaded = null;
      throw error;
    });
    return this.#loaded;
  }

  async #read(now: number): Promise<void> {
    const all = await this.#options.storage.list<Kept>({ prefix: PARCEL });
    for (const [key, kept] of all) {
      const number = Number(key.slice(PARCEL.length));
      this.#parcels.set(number, kept);
      this.#bytes += kept.bytes;
      this.#number = Math.max(this.#number, number + 1);
      this.#serverOf(kept.queue, now);
    }
  }

  #serverOf(queue: string, due: number): Server {
    const known = this.#servers.get(queue) ?? { failures: 0, due, sending: false };
    this.#servers.set(queue, known);
    return known;
  }

  async #keep({ delivery, ...parcel }: Parcel, now: number): Promise<void> {
    const { storage, log, dropped } = this.#options;
    const { body, ...rest } = delivery;
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    if (bytes.length > this.#most.bytes) {
      log('error', `outbox: a batch of queue ${parcel.queue} has ${bytes.length} bytes and was dropped`);
      dropped(parcel.queue, 'too_long', parcel.entries);
      return;
    }
    await this.#makeRoom(bytes.length);
    const number = this.#number++;
    const kept: Kept = { ...parcel, delivery: rest, bytes: bytes.length };
    const parts = partKeys(number, bytes.length).map(
      (key, part) => [key, bytes.slice(part * PART, (part + 1) * PART)] as const,
    );
    // At once: parts that nothing leads to would lie there for good, and on a disk that is full there would be more of them each time.
    await storage.put<Kept | Uint8Array>({ ...Object.fromEntries(parts), [parcelKey(number)]: kept });
    this.#parcels.set(number, kept);
    this.#bytes += bytes.length;
    this.#serverOf(parcel.queue, now + pauseOf(kept, 0));
    await this.#arm();
  }

  async #makeRoom(bytes: number): Promise<void> {
    const { log, dropped } = this.#options;
    while (this.#parcels.size >= this.#most.parcels || this.#bytes + bytes > this.#most.bytes) {
      const [oldest] = this.#parcels;
      if (oldest === undefined) return;
      const [number, { queue, entries }] = oldest;
      if (this.#overflowed === 0) log('error', 'outbox: it is full, its oldest batches are dropped');
      this.#overflowed += entries;
      dropped(queue, 'full', entries);
      await this.#remove(number);
    }
  }

  /** One after the other, until the server takes no more or the shift is over. */
  async #sendAll(queue: string, server: Server, until: number): Promise<void> {
    server.sending = true;
    try {
      for (let next = this.#first(queue); next !== undefined; next = this.#first(queue)) {
        const [number, kept] = next;
        if (!(await this.#taken(number, kept, server)) || Date.now() > until) return;
      }
      this.#servers.delete(queue);
    } finally {
      server.sending = false;
    }
  }

  #first(queue: string): readonly [number, Kept] | undefined {
    for (const one of this.#parcels) if (one[1].queue === queue) return one;
    return undefined;
  }

  /** False: the server is left alone for a while. */
  async #taken(number: number, kept: Kept, server: Server): Promise<boolean> {
    const { send, log, dropped } = this.#options;
    const { queue, entries, delivery, retries, since } = kept;
    try {
      await send({ ...delivery, body: await this.#body(number, kept.bytes) });
    } catch (error) {
      const reason = messageOf(error);
      const now = Date.now();
      const left = since + retries.max_retry_time * 1000 - now;
      server.due = now + Math.min(pauseOf(kept, server.failures), Math.max(left, SHORTEST_PAUSE));
      server.failures += 1;
      if (left > 0) {
        log('warn', `outbox: ${entries} entries of queue ${queue} could not be sent and are tried again: ${reason}`);
        return false;
      }
      // It may have been dropped for others meanwhile.
      if (!this.#parcels.has(number)) return false;
      log('error', `outbox: ${entries} entries of queue ${queue} could not be sent and were dropped: ${reason}`);
      dropped(queue, 'not_taken', entries);
      await this.#remove(number);
      return false;
    }
    server.failures = 0;
    await this.#remove(number);
    if (this.#overflowed > 0) log('error', `outbox: it has room again, ${this.#overflowed} entries were dropped`);
    this.#overflowed = 0;
    return true;
  }

  async #body(number: number, bytes: number): Promise<Uint8Array> {
    const body = new Uint8Array(bytes);
    for (const [part, key] of partKeys(number, bytes).entries()) {
      const read = await this.#options.storage.get<Uint8Array>(key);
      if (read === undefined) throw new Error('a part of it is missing on disk');
      body.set(read, part * PART);
    }
    return body;
  }

  async #remove(number: number): Promise<void> {
    const kept = this.#parcels.get(number);
    if (kept === undefined) return;
    this.#parcels.delete(number);
    this.#bytes -= kept.bytes;
    const keys = [parcelKey(number), ...partKeys(number, kept.bytes)];
    for (let at = 0; at < keys.length; at += DELETED_AT_ONCE)
      await this.#options.storage.delete(keys.slice(at, at + DELETED_AT_ONCE));
  }

  /** Has the alarm ring when something is due. */
  async #arm(): Promise<void> {
    const { storage } = this.#options;
    const due = [...this.#servers.values()].filter(({ sending }) => !sending).map((server) => server.due);
    if (due.length === 0) return;
    const next = Math.min(...due);
    const set = await storage.getAlarm();
    if (set === null || next < set) await storage.setAlarm(next);
  }
}

function pauseOf({ retries }: Kept, failures: number): number {
  const { initial_retry_delay, max_retry_delay } = retries;
  const pause = Math.min(max_retry_delay, initial_retry_delay * 2 ** failures) * 1000;
  return Math.max(pause, SHORTEST_PAUSE);
}

function parcelKey(number: number): string {
  return `${PARCEL}${String(number).padStart(16, '0')}`;
}

function partKeys(number: number, bytes: number): readonly string[] {
  return Array.from({ length: Math.ceil(bytes / PART) }, (_, part) => `part/${number}/${part}`);
}
