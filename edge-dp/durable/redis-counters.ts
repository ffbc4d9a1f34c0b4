import { messageOf } from '../../shared/thrown.ts';
import type { Services } from '../plugins/runtime/services.ts';
import { RedisClient } from '../redis/client.ts';
import { addInRedis, lookInRedis, takeInRedis } from '../redis/counting.ts';
import { type Change, SharedLedger } from './shared-ledger.ts';
import type { CountedWindow, CounterAnswer, CounterQuestion, RedisQuestion } from './state-messages.ts';

/** Windows kept by a ledger that is compared with Redis from time to time. */
const MOST = 100_000;
/** Windows compared at once. */
const MOST_COMPARED = 5_000;
/** Milliseconds between two lines about a server that cannot be reached. */
const PAUSE = 10_000;

/**
 * The counters of a node that are in one Redis, behind one connection. Each request is counted there, atomically, or (`syncRate`)
 * here, and every so many seconds both are told of each other.
 */
export class RedisCounters {
  readonly #connect: Services['connect'];
  readonly #later: (work: Promise<unknown>) => void;
  readonly #ledger = new SharedLedger(() => undefined, MOST);
  #client: RedisClient | null = null;
  #comparing = false;
  #complainedAt = Number.NEGATIVE_INFINITY;

  /** `later` keeps work alive that goes on after an answer. */
  constructor(connect: Services['connect'], later: (work: Promise<unknown>) => void) {
    this.#connect = connect;
    this.#later = later;
  }

  /** Throws when each request is counted there and the server does not answer. */
  async answer({ server, syncRate, ...question }: RedisQuestion): Promise<readonly CounterAnswer[]> {
    this.#client ??= new RedisClient(server, this.#connect);
    return syncRate === null ? countThere(this.#client, question) : this.#countHere(this.#client, question, syncRate);
  }

  async #countHere(client: RedisClient, question: CounterQuestion, rate: number): Promise<readonly CounterAnswer[]> {
    const unheard = question.windows.filter((window) => !this.#ledger.knows(window));
    if (unheard.length > 0) await this.#hear(client, unheard);
    const answers = this.#ledger.answer(question, Date.now());
    if (!this.#comparing) {
      this.#comparing = true;
      this.#later(this.#compareUntilQuiet(client, rate * 1_000));
    }
    return answers;
  }

  /** Where the first of this node finds a window, others may have counted. */
  async #hear(client: RedisClient, windows: readonly CountedWindow[]): Promise<void> {
    try {
      const totals = await lookInRedis(client, windows);
      for (const [i, window] of windows.entries()) {
        if (!this.#ledger.knows(window)) this.#ledger.learn({ window, own: 0 }, totals[i] ?? 0, Date.now());
      }
    } catch (error) {
      this.#complain(error);
    }
  }

  async #compareUntilQuiet(client: RedisClient, pause: number): Promise<void> {
    while (this.#ledger.asked) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      await this.#compare(client);
    }
    this.#comparing = false;
  }

  async #compare(client: RedisClient): Promise<void> {
    const changes = this.#ledger.changes(MOST_COMPARED, Date.now());
    // Each by itself: what was told must not be told again because of another.
    const told = await Promise.allSettled(changes.map(({ window, news }) => addInRedis(client, [window], [news])));
    const untold: Change[] = [];
    for (const [i, change] of changes.entries()) {
      const outcome = told[i];
      if (outcome?.status === 'fulfilled') this.#ledger.learn(change, outcome.value[0] ?? change.own, Date.now());
      else {
        // It may have arrived: counted twice, it lets less through, not more.
        untold.push(change);
        this.#complain(outcome?.reason);
      }
    }
    this.#ledger.keep(untold);
  }

  #complain(error: unknown): void {
    const now = Date.now();
    if (Math.abs(now - this.#complainedAt) < PAUSE) return;
    this.#complainedAt = now;
    console.error(`counters are this node's own until Redis is there again: ${messageOf(error)}`);
  }
}

async function countThere(client: RedisClient, question: CounterQuestion): Promise<readonly CounterAnswer[]> {
  const { does, amount, windows } = question;
  switch (does) {
    case 'look':
      return answers(windows, await lookInRedis(client, windows), 0, amount);
    case 'add':
      return answers(
        windows,
        await addInRedis(
          client,
          windows,
          windows.map(() => amount),
        ),
        0,
        amount,
      );
    default: {
      const { counted, used } = await takeInRedis(client, windows, amount);
      return answers(windows, used, counted ? amount : 0, amount);
    }
  }
}

function answers(
  windows: readonly CountedWindow[],
  used: readonly number[],
  granted: number,
  amount: number,
): readonly CounterAnswer[] {
  return windows.map(({ limit }, i) => {
    const counted = used[i] ?? 0;
    return { granted, used: counted, room: granted > 0 || limit - counted >= amount, ledger: 0 };
  });
}
