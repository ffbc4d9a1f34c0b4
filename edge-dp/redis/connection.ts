import { joinedBytes } from '../../shared/bytes.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Connection } from '../plugins/runtime/services.ts';
import { patienceOf } from '../plugins/services/patience.ts';
import { encodeCommand, RedisError, type Reply, ReplyReader } from './resp.ts';

/** What waits for its reply, in the order it was sent. */
interface Waiting {
  readonly resolve: (reply: Exclude<Reply, RedisError>) => void;
  readonly reject: (error: unknown) => void;
}

/** Commands that may wait for their replies at once. Beyond, the server is too slow for what is asked of it. */
const MOST_WAITING = 10_000;

/**
 * One connection, over which everybody's commands go without waiting for each other (pipelining). Once anything is wrong with
 * it (a reply in time is missing, one is no RESP, it ends), all that waits fails, and it is of no further use.
 */
export class RedisConnection {
  readonly #connection: Connection;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #timeout: number;
  readonly #exact: boolean;
  readonly #waiting: Waiting[] = [];
  #unsent: Uint8Array[] = [];
  #failure: Error | null = null;
  #retired = false;
  /** When the reply that is due next is late: one timer for all. */
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** `timeout`: milliseconds for a reply. `exact`: texts that are no UTF-8 are given as bytes. */
  constructor(connection: Connection, timeout: number, exact = false) {
    this.#connection = connection;
    this.#writer = connection.writable.getWriter();
    this.#timeout = patienceOf(timeout);
    this.#exact = exact;
    void this.#listen();
  }

  get usable(): boolean {
    return this.#failure === null && !this.#retired;
  }

  /** Throws `RedisError` for what the server refuses. */
  async send(words: readonly (string | Uint8Array)[]): Promise<Exclude<Reply, RedisError>> {
    if (this.#failure !== null) throw this.#failure;
    if (this.#waiting.length >= MOST_WAITING) throw new Error(`${MOST_WAITING} commands wait for their replies`);
    const reply = new Promise<Exclude<Reply, RedisError>>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
    this.#unsent.push(encodeCommand(words));
    // What is asked for in one turn goes in one write.
    if (this.#unsent.length === 1) queueMicrotask(() => this.#flush());
    this.#timer ??= this.#watch();
    return reply;
  }

  close(): void {
    this.#fail(new Error('closed'));
  }

  /** Closes once all that waits has its reply. */
  retire(): void {
    this.#retired = true;
    if (this.#waiting.length === 0) this.close();
  }

  #flush(): void {
    const bytes = joinedBytes(this.#unsent);
    this.#unsent = [];
    if (this.#failure === null) this.#writer.write(bytes).catch((error: unknown) => this.#fail(error));
  }

  async #listen(): Promise<void> {
    const replies = new ReplyReader(this.#exact);
    const reader = this.#connection.readable.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw new Error('the server closed the connection');
        for (const reply of replies.read(value)) this.#take(reply);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #take(reply: Reply): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) throw new TypeError('a reply that nobody asked for');
    if (reply instanceof RedisError) waiting.reject(reply);
    else waiting.resolve(reply);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = this.#waiting.length === 0 ? null : this.#watch();
    if (this.#retired && this.#waiting.length === 0) this.close();
  }

  #watch(): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.#fail(new Error(`no reply within ${this.#timeout} ms`)), this.#timeout);
  }

  #fail(error: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = error instanceof Error ? error : new Error(messageOf(error));
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
    void this.#connection.close();
  }
}
