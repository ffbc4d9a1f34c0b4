import { CountedWindows } from './counted-windows.ts';
import { CounterLedger, type Others } from './counter-ledger.ts';
import type { CountedWindow, CounterAnswer, CounterQuestion } from './state-messages.ts';

interface Elsewhere {
  /** Counted by others, when it was last known. */
  readonly used: number;
  /** What they were told was counted here. */
  readonly told: number;
}

/** A window that others are to be told of, and to tell of. */
export interface Change {
  readonly window: CountedWindow;
  /** Counted here, in all. */
  readonly own: number;
  /** Of it, what others do not know yet. */
  readonly news: number;
}

/** Comparisons of a window after it was asked for last: in the first, others may not have told yet. */
const ROUNDS = 3;

/**
 * A ledger that counts together with others of its kind, with whom it compares notes from time to time: what it allows is right as far as
 * it knows of them.
 */
export class SharedLedger implements Others {
  readonly #ledger: CounterLedger;
  readonly #elsewhere: CountedWindows<Elsewhere>;
  /** What is to be compared, and how often before it was asked for again; what waits longest first. */
  readonly #asked = new Map<string, { readonly window: CountedWindow; readonly rounds: number }>();

  readonly #most: number;

  constructor(full: (most: number) => void, most: number) {
    this.#most = most;
    this.#ledger = new CounterLedger(full, most, this);
    this.#elsewhere = new CountedWindows(most, () => undefined);
  }

  answer(question: CounterQuestion, now: number): readonly CounterAnswer[] {
    const answers = this.#ledger.answer(question, now);
    for (const window of question.windows) this.#ask(window, ROUNDS);
    return answers;
  }

  /** Whether others were heard of the window. */
  knows(window: CountedWindow): boolean {
    return this.#elsewhere.get(window) !== undefined;
  }

  of(window: CountedWindow): number {
    return this.#elsewhere.get(window)?.used ?? 0;
  }

  assume(window: CountedWindow, used: number, now: number): void {
    this.#elsewhere.set(window, { used, told: 0 }, now);
  }

  /** Whether there is anything to compare. */
  get asked(): boolean {
    return this.#asked.size > 0;
  }

  /** At most so many windows that were asked for; windows that are over are of no interest any more. */
  changes(most: number, now: number): readonly Change[] {
    const changes: Change[] = [];
    const due: [string, { readonly window: CountedWindow; readonly rounds: number }][] = [];
    for (const entry of this.#asked) {
      if (due.length >= most) break;
      due.push(entry);
    }
    for (const [name, { window, rounds }] of due) {
      this.#asked.delete(name);
      if (window.start + window.length <= now) continue;
      if (rounds > 1) this.#ask(window, rounds - 1);
      const own = this.#ledger.own(window);
      changes.push({ window, own, news: own - (this.#elsewhere.get(window)?.told ?? 0) });
    }
    return changes;
  }

  /** All have counted `total` together, of which `own` is what was told of this ledger. */
  learn({ window, own }: Pick<Change, 'window' | 'own'>, total: number, now: number): void {
    this.#elsewhere.set(window, { used: total - own, told: own }, now);
  }

  /** Nobody could be told: they are tried again with the next. */
  keep(changes: readonly Change[]): void {
    for (const { window } of changes) this.#ask(window, ROUNDS);
  }

  #ask(window: CountedWindow, rounds: number): void {
    this.#asked.set(`${window.key}|${window.start}|${window.length}`, { window, rounds });
    // Where nobody can be told for long, those asked for longest ago are told last.
    if (this.#asked.size <= this.#most) return;
    let left = Math.max(1, this.#most >> 6);
    for (const oldest of this.#asked.keys()) {
      this.#asked.delete(oldest);
      left -= 1;
      if (left === 0) break;
    }
  }
}
