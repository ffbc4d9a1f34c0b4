/** Milliseconds after which it is looked for the first time. */
const FIRST = 1_000;

/**
 * The time an exchange waits for something, and meanwhile a look now and then whether the client waits too, where the host can
 * tell: after a second, and then whenever half as much time again has gone by. Most requests are over before the first.
 */
export class Deadline {
  readonly #hasLeft: (() => Promise<boolean>) | null;
  readonly #left: () => void;
  readonly #since = Date.now();
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** Calls `left` once `hasLeft` says so. */
  constructor(hasLeft: (() => Promise<boolean>) | undefined, left: () => void) {
    this.#hasLeft = hasLeft ?? null;
    this.#left = left;
  }

  /** Calls `late` after so many milliseconds, in place of what was set before. */
  set(milliseconds: number, late: () => void): void {
    this.clear();
    const hasLeft = this.#hasLeft;
    if (hasLeft === null) this.#timer = setTimeout(late, milliseconds);
    else this.#wait(hasLeft, Date.now() + milliseconds, late);
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #wait(hasLeft: () => Promise<boolean>, until: number, late: () => void): void {
    const now = Date.now();
    const rest = until - now;
    const pause = Math.max(FIRST, (now - this.#since) / 2);
    if (rest <= pause) {
      this.#timer = setTimeout(late, rest);
      return;
    }
    const timer = setTimeout(() => {
      void hasLeft().then((gone) => {
        if (this.#timer !== timer) return;
        if (gone) this.#left();
        else this.#wait(hasLeft, until, late);
      });
    }, pause);
    this.#timer = timer;
  }
}
