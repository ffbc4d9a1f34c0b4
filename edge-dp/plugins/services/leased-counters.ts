import { xxHash32 } from '../../balancer/xxhash32.ts';
import {
  COUNTER_SHARDS,
  type CounterAnswer,
  type CounterQuestion,
  parseCounterAnswers,
} from '../../durable/state-messages.ts';
import type { Counters, Usage, Window } from '../runtime/services.ts';
import type { AskState } from './node-state.ts';

/** What the isolate knows of one window. */
interface Known {
  /** What it may still spend without asking. */
  lease: number;
  /** What was counted or granted in all, when it asked last. */
  used: number;
  /** Milliseconds since the epoch until which it believes that there is no room. */
  fullUntil: number;
  /** Questions under way: while there is one for a lease, others ask for no more than they need. */
  asking: number;
  readonly until: number;
}

/** Milliseconds for which a window found full is not asked about again: somebody may have given back. */
const BELIEVED_FULL = 1_000;
/** Milliseconds between two looks for windows that are over. */
const SWEEP = 10_000;

/** Counters of the whole node: spent out of leases, asked for where a lease is used up. */
export class LeasedCounters implements Counters {
  readonly #ask: AskState;
  readonly #known = new Map<string, Known>();
  /** Made with the first question: a Worker has no random numbers before its first request. */
  #isolate: string | null = null;
  #sweepAt = 0;

  constructor(ask: AskState) {
    this.#ask = ask;
  }

  take(windows: readonly Window[], amount: number): readonly Usage[] | Promise<readonly Usage[]> {
    this.#sweep(Date.now());
    return this.#spend(windows, amount) ?? this.#takeAsking(windows, amount);
  }

  async add(windows: readonly Window[], amount: number): Promise<void> {
    const left: Window[] = [];
    for (const window of windows) {
      const known = this.#of(window);
      if (amount > 0 && known.lease >= amount) known.lease -= amount;
      else left.push(window);
    }
    if (left.length === 0) return;
    const answers = await this.#question('add', left, amount);
    for (const [i, window] of left.entries()) this.#looked(window, answers[i]);
  }

  usage(windows: readonly Window[]): readonly Usage[] | Promise<readonly Usage[]> {
    const now = Date.now();
    const unknown = windows.filter((window) => {
      const { lease, fullUntil } = this.#of(window);
      return lease === 0 && fullUntil <= now;
    });
    const told = (): readonly Usage[] => windows.map((window) => this.#usageOf(window));
    if (unknown.length === 0) return told();
    return this.#question('look', unknown, 0).then((answers) => {
      for (const [i, window] of unknown.entries()) this.#looked(window, answers[i]);
      return told();
    });
  }

  /** Spends in all windows, or finds one full and spends in none; null: leases are missing. */
  #spend(windows: readonly Window[], amount: number): readonly Usage[] | null {
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
    for (const one of known) one.asking += 1;
    try {
      const answers = await this.#question(does, windows, amount);
      for (const [i, window] of windows.entries()) this.#granted(window, answers[i]);
    } finally {
      for (const one of known) one.asking -= 1;
    }
  }

  #usageOf(window: Window): Usage {
    const { used, lease } = this.#of(window);
    return { used: used - lease, room: used - lease < window.limit };
  }

  #granted(window: Window, answer: CounterAnswer | undefined): void {
    const known = this.#looked(window, answer);
    known.lease += answer?.granted ?? 0;
    if (answer?.granted === 0) known.fullUntil = Date.now() + BELIEVED_FULL;
  }

  #looked(window: Window, answer: CounterAnswer | undefined): Known {
    const known = this.#of(window);
    known.used = answer?.used ?? known.used;
    known.fullUntil = 0;
    return known;
  }

  #of(window: Window): Known {
    const key = `${window.key}|${window.start}|${window.length}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      known = { lease: 0, used: 0, fullUntil: 0, asking: 0, until: window.start + window.length };
      this.#known.set(key, known);
    }
    return known;
  }

  /** An answer for each window, in order. */
  async #question(
    does: CounterQuestion['does'],
    windows: readonly Window[],
    amount: number,
  ): Promise<readonly CounterAnswer[]> {
    this.#isolate ??= crypto.randomUUID();
    const isolate = this.#isolate;
    const shards = new Map<number, Window[]>();
    for (const window of windows) {
      const shard = xxHash32(window.key) % COUNTER_SHARDS;
      shards.set(shard, [...(shards.get(shard) ?? []), window]);
    }
    const answers = new Map<Window, CounterAnswer>();
    await Promise.all(
      [...shards].map(async ([shard, own]) => {
        const question: CounterQuestion = { isolate, does, amount, windows: own };
        const told = parseCounterAnswers(await this.#ask(`counters/${shard}`, question), own.length);
        for (const [i, window] of own.entries()) answers.set(window, told[i] ?? { granted: 0, used: 0 });
      }),
    );
    return windows.map((window) => answers.get(window) ?? { granted: 0, used: 0 });
  }

  #sweep(now: number): void {
    if (now < this.#sweepAt) return;
    this.#sweepAt = now + SWEEP;
    for (const [key, { until }] of this.#known) if (until <= now) this.#known.delete(key);
  }
}
