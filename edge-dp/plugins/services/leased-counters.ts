import { xxHash32 } from '../../balancer/xxhash32.ts';
import { CountedWindows } from '../../durable/counted-windows.ts';
import { type CounterAnswer, type CounterQuestion, parseCounterAnswers } from '../../durable/state-messages.ts';
import type { Counters, Usage, Window } from '../runtime/services.ts';

/** What the isolate knows of one window. */
interface Known {
  /** What it may still spend without asking. */
  lease: number;
  /** What was counted or granted in all, when it asked last, and by which ledger it was told. */
  used: number;
  ledger: number;
  /** Milliseconds since the epoch until which it believes that there is no room. */
  fullUntil: number;
  /** Questions under way: while there is one for a lease, others ask for no more than they need. */
  asking: number;
  /** None of them is answered yet. Answers overtake each other: after the first, only more can be newer. */
  unanswered: boolean;
}

/** Milliseconds for which a window found full is not asked about again: somebody may have given back. */
const BELIEVED_FULL = 1_000;
/** Windows remembered. What is leased of a forgotten one counts as used and is not spent. */
const MOST = 20_000;

/** Brings a question to the keeper of one part of the counters. */
export type AskCounters = (shard: number, question: CounterQuestion) => Promise<unknown>;

/** Counters that are kept elsewhere: spent out of leases, asked for where a lease is used up. */
export class LeasedCounters implements Counters {
  readonly #ask: AskCounters;
  readonly #shards: number;
  readonly #known = new CountedWindows<Known>(MOST, () => undefined);
  /** Made with the first question: a Worker has no random numbers before its first request. */
  #isolate: string | null = null;

  /** `shards`: how many keepers there are. */
  constructor(shards: number, ask: AskCounters) {
    this.#shards = shards;
    this.#ask = ask;
  }

  take(windows: readonly Window[], amount: number): readonly Usage[] | Promise<readonly Usage[]> {
    return this.#spend(windows, amount) ?? this.#takeAsking(windows, amount);
  }

  async add(windows: readonly Window[], amount: number): Promise<void> {
    const left: Window[] = [];
    for (const window of windows) {
      const known = this.#of(window);
      if (amount > 0 && known.lease >= amount) known.lease -= amount;
      else left.push(window);
    }
    if (left.length > 0) await this.#question('add', left, amount);
  }

  usage(windows: readonly Window[]): readonly Usage[] | Promise<readonly Usage[]> {
    const now = Date.now();
    const unknown = windows.filter((window) => {
      const { lease, fullUntil } = this.#of(window);
      return lease === 0 && fullUntil <= now;
    });
    const told = (): readonly Usage[] => windows.map((window) => this.#usageOf(window));
    return unknown.length === 0 ? told() : this.#question('look', unknown, 0).then(told);
  }

  /** Spends in all windows, or finds one full and spends in none; null: leases are missing. */
  #spend(windows: readonly Window[], amount: number): readonly Usage[] | null {
    const [only] = windows;
    if (only !== undefined && windows.length === 1) {
      const known = this.#of(only);
      if (known.lease >= amount) {
        known.lease -= amount;
        return [{ used: known.used - known.lease, room: true }];
      }
    }
    const known = windows.map((window) => this.#of(window));
    if (known.every(({ lease }) => lease >= amount)) {
      for (const one of known) one.lease -= amount;
      return known.map(({ used, lease }) => ({ used: used - lease, room: true }));
    }
    const now = Date.now();
    if (!known.some(({ fullUntil }) => fullUntil > now)) return null;
    // What is full here is full: nothing is leased, or spent, for a request that will be refused.
    return known.map(({ used, lease, fullUntil }) => ({ used: used - lease, room: fullUntil <= now }));
  }

  async #takeAsking(windows: readonly Window[], amount: number): Promise<readonly Usage[]> {
    for (;;) {
      await this.#lease(
        windows.filter((window) => this.#of(window).lease < amount),
        amount,
      );
      // Another request may have spent it meanwhile.
      const taken = this.#spend(windows, amount);
      if (taken !== null) return taken;
    }
  }

  async #lease(windows: readonly Window[], amount: number): Promise<void> {
    const known = windows.map((window) => this.#of(window));
    const does = known.some(({ asking }) => asking > 0) ? 'one' : 'lease';
    for (const one of known) {
      if (one.asking === 0) one.unanswered = true;
      one.asking += 1;
    }
    try {
      await this.#question(does, windows, amount);
    } finally {
      for (const one of known) one.asking -= 1;
    }
  }

  #usageOf(window: Window): Usage {
    const { used, lease } = this.#of(window);
    return { used: used - lease, room: used - lease < window.limit };
  }

  /** Asks, and learns from the answers. */
  async #question(does: CounterQuestion['does'], windows: readonly Window[], amount: number): Promise<void> {
    this.#isolate ??= crypto.randomUUID();
    const isolate = this.#isolate;
    const shards = new Map<number, Window[]>();
    for (const window of windows) {
      const shard = xxHash32(window.key) % this.#shards;
      shards.set(shard, [...(shards.get(shard) ?? []), window]);
    }
    await Promise.all(
      [...shards].map(async ([shard, own]) => {
        const counted = own.map((window) => {
          const { used, ledger } = this.#of(window);
          return { ...window, used, ledger };
        });
        const question: CounterQuestion = { isolate, does, amount, windows: counted };
        const answers = parseCounterAnswers(await this.#ask(shard, question), own.length);
        for (const [i, window] of own.entries()) this.#learn(window, does, answers[i]);
      }),
    );
  }

  #learn(window: Window, does: CounterQuestion['does'], answer: CounterAnswer | undefined): void {
    if (answer === undefined) return;
    const known = this.#of(window);
    const now = Date.now();
    const taking = does === 'lease' || does === 'one';
    const newest = !taking || known.unanswered || known.ledger !== answer.ledger;
    known.used = newest ? answer.used : Math.max(known.used, answer.used);
    if (taking) known.unanswered = false;
    known.ledger = answer.ledger;
    known.lease += answer.granted;
    known.fullUntil = taking && !answer.room ? now + BELIEVED_FULL : 0;
    this.#known.set(window, known, now);
  }

  #of(window: Window): Known {
    let known = this.#known.get(window);
    if (known === undefined) {
      known = { lease: 0, used: 0, ledger: 0, fullUntil: 0, asking: 0, unanswered: true };
      this.#known.set(window, known, Date.now());
    }
    return known;
  }
}
