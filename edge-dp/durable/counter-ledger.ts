import type { CountedWindow, CounterAnswer, CounterQuestion } from './state-messages.ts';

/** Limits up to this one, and windows up to so many milliseconds, are counted one by one. */
const COUNTED_SINGLY = 100;
const SHORT = 1_000;
/** An isolate gets at most this part of what all may have, divided by how many there are. */
const SHARE = 20;
/** And of what is left. */
const LEFT_SHARE = 4;
/** Milliseconds after which an isolate that did not ask is taken for gone. */
const FORGOTTEN = 60_000;
/** Milliseconds between two looks for windows that are over. */
const SWEEP = 10_000;

/**
 * The counts of many windows, of which isolates lease parts: what is granted counts as used, so that what they spend together
 * never goes above a limit.
 */
export class CounterLedger {
  readonly #counts = new Map<string, { used: number; readonly until: number }>();
  readonly #isolates = new Map<string, number>();
  #sweepAt = 0;

  answer({ isolate, does, amount, windows }: CounterQuestion, now: number): readonly CounterAnswer[] {
    this.#isolates.set(isolate, now);
    if (now >= this.#sweepAt) this.#sweep(now);
    return windows.map((window) => {
      const used = this.#counts.get(keyOf(window))?.used ?? 0;
      if (does === 'look') return { granted: 0, used };
      const granted = does === 'add' ? amount : this.#grant(window, used, amount, does === 'lease');
      if (granted !== 0) this.#counts.set(keyOf(window), { used: used + granted, until: window.start + window.length });
      return { granted: does === 'add' ? 0 : granted, used: used + granted };
    });
  }

  #grant({ limit, length }: CountedWindow, used: number, amount: number, more: boolean): number {
    const left = limit - used;
    if (left < amount) return 0;
    if (!more || limit <= COUNTED_SINGLY || length <= SHORT) return amount;
    const isolates = this.#isolates.size;
    // Less and less towards the end, where what one holds is missing to the others.
    return Math.max(amount, Math.floor(Math.min(limit / (SHARE * isolates), left / (LEFT_SHARE * isolates))));
  }

  #sweep(now: number): void {
    this.#sweepAt = now + SWEEP;
    for (const [key, { until }] of this.#counts) if (until <= now) this.#counts.delete(key);
    for (const [isolate, seen] of this.#isolates) if (seen < now - FORGOTTEN) this.#isolates.delete(isolate);
  }
}

function keyOf({ key, start, length }: CountedWindow): string {
  return `${key}|${start}|${length}`;
}
