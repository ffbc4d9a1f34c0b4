import { CountedWindows } from './counted-windows.ts';
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
/** Milliseconds between two looks for isolates that are gone. */
const SWEEP = 10_000;
/** Windows kept by one ledger, each some 200 bytes. Beyond, those counted longest ago are forgotten. */
const MOST = 25_000;

/** What is counted of windows elsewhere, or was before this ledger began. */
export interface Others {
  of(window: CountedWindow): number;
  /** An isolate was told so much by the ledger before this one: what holds until it is known better. */
  assume(window: CountedWindow, used: number, now: number): void;
}

/** Where nobody else counts: what isolates say of the time before. */
class Before implements Others {
  readonly #used: CountedWindows<number>;

  constructor(most: number) {
    this.#used = new CountedWindows(most, () => undefined);
  }

  of(window: CountedWindow): number {
    return this.#used.get(window) ?? 0;
  }

  assume(window: CountedWindow, used: number, now: number): void {
    this.#used.set(window, used, now);
  }
}

/**
 * The counts of many windows, of which isolates lease parts: what is granted counts as used, so that what they spend together
 * never goes above a limit. In memory only: after a restart it learns from the isolates what they know.
 */
export class CounterLedger {
  readonly #counts: CountedWindows<number>;
  readonly #others: Others;
  readonly #isolates = new Map<string, number>();
  /** Tells this ledger from the one before it. */
  #born = 0;
  #sweepAt = 0;

  /** `full` is called when windows had to be forgotten, `most` being how many are kept. */
  constructor(full: (most: number) => void, most = MOST, others: Others = new Before(most)) {
    this.#counts = new CountedWindows(most, () => full(most));
    this.#others = others;
  }

  answer({ isolate, does, amount, windows }: CounterQuestion, now: number): readonly CounterAnswer[] {
    if (this.#born === 0) this.#born = now;
    this.#isolates.set(isolate, now);
    if (now >= this.#sweepAt) this.#sweep(now);
    const used = windows.map((window) => this.#used(window, now));
    const rooms = windows.map(({ limit }, i) => limit - (used[i] ?? 0) >= amount);
    const grants = (does === 'lease' || does === 'one') && rooms.every((room) => room);
    return windows.map((window, i) => {
      const before = used[i] ?? 0;
      const granted = grants ? this.#grant(window, before, amount, does === 'lease') : 0;
      const after = Math.max(0, before + (does === 'add' ? amount : granted));
      const own = after - this.#others.of(window);
      if (own !== 0 || this.#counts.get(window) !== undefined) this.#counts.set(window, own, now);
      return { granted, used: after, room: rooms[i] ?? false, ledger: this.#born };
    });
  }

  /** What was counted by this ledger, without others. */
  own(window: CountedWindow): number {
    return this.#counts.get(window) ?? 0;
  }

  /**
   * What is counted here and elsewhere. What the isolate was told by this ledger's predecessor has nothing of what this one counted, so
   * it comes on top of that.
   */
  #used(window: CountedWindow, now: number): number {
    const before = this.#others.of(window);
    if (window.ledger === this.#born || window.used <= before) return this.own(window) + before;
    this.#others.assume(window, window.used, now);
    return this.own(window) + window.used;
  }

  #grant({ limit, length }: CountedWindow, used: number, amount: number, more: boolean): number {
    if (!more || limit <= COUNTED_SINGLY || length <= SHORT) return amount;
    const left = limit - used;
    const isolates = this.#isolates.size;
    // Less and less towards the end, where what one holds is missing to the others.
    return Math.max(amount, Math.floor(Math.min(limit / (SHARE * isolates), left / (LEFT_SHARE * isolates))));
  }

  #sweep(now: number): void {
    this.#sweepAt = now + SWEEP;
    for (const [isolate, seen] of this.#isolates) if (seen < now - FORGOTTEN) this.#isolates.delete(isolate);
  }
}
