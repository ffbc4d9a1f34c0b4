import { beginSoon, LOOK } from './shared-timer.ts';

/** Milliseconds after which it is looked for the first time. */
const FIRST = 1_000;

type WaitUntil = (work: Promise<unknown>) => void;

/**
 * The time an exchange waits for something, and meanwhile a look now and then whether the client waits too, where the host can
 * tell: after a second, and then whenever half as much time again has gone by. Most requests are over before the first.
 */
export class Deadline {
  readonly #hasLeft: (() => Promise<boolean>) | null;
  readonly #left: () => void;
  readonly #waitUntil: WaitUntil | null;
  readonly #since = Date.now();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #begun: { cancel(): void } | null = null;

  /** Calls `left` once `hasLeft` says so. `waitUntil`, of the request it is for: it has no timer before it has waited for a second or so. */
  constructor(hasLeft: (() => Promise<boolean>) | undefined, left: () => void, waitUntil?: WaitUntil) {
    this.#hasLeft = hasLeft ?? null;
    this.#left = left;
    this.#waitUntil = waitUntil ?? null;
  }

  /** Calls `late` after so many milliseconds, in place of what was set before. */
  set(milliseconds: number, late: () => void): void {
    this.clear();
    const until = Date.now() + milliseconds;
    // By when a look comes at the latest, and what waits has its own timer.
    if (this.#waitUntil === null || milliseconds < 2 * LOOK) {
      this.#wait(until, late);
      return;
    }
    const begun = beginSoon(() => {
      // It may have been cleared, or set anew, since a look was taken.
      if (this.#begun === begun) this.#wait(until, late);
    }, this.#waitUntil);
    this.#begun = begun;
  }

  clear(): void {
    this.#begun?.cancel();
    this.#begun = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #wait(until: number, late: () => void): void {
    const hasLeft = this.#hasLeft;
    const now = Date.now();
    const rest = until - now;
    const waited = now - this.#since;
    const pause = Math.max(FIRST - waited, waited / 2);
    if (hasLeft === null || rest <= pause) {
      this.#timer = setTimeout(late, rest);
      return;
    }
    const timer = setTimeout(() => {
      void hasLeft().then((gone) => {
        if (this.#timer !== timer) return;
        if (gone) this.#left();
        else this.#wait(until, late);
      });
    }, pause);
    this.#timer = timer;
  }
}
