/**
 * A time limit that is set and lifted with every request: the timer behind it runs on and looks, when it is over, whether there is still
 * something to wait for, since starting and stopping one costs more than all else of it.
 */
export class Deadline {
  readonly #over: () => void;
  #timer: NodeJS.Timeout | null = null;
  /** When it is over, and when the timer will look: milliseconds of `performance.now`. */
  #at = Number.POSITIVE_INFINITY;
  #looksAt = Number.POSITIVE_INFINITY;

  constructor(over: () => void) {
    this.#over = over;
  }

  /** From now on so many milliseconds. */
  set(milliseconds: number): void {
    const now = performance.now();
    this.#at = now + milliseconds;
    if (this.#looksAt > this.#at) this.#look(milliseconds, now);
  }

  lift(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  /** It is not needed any more. */
  end(): void {
    this.lift();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#looksAt = Number.POSITIVE_INFINITY;
  }

  #look(milliseconds: number, now: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#looksAt = now + milliseconds;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#looksAt = Number.POSITIVE_INFINITY;
      if (this.#at === Number.POSITIVE_INFINITY) return;
      const time = performance.now();
      if (this.#at > time) this.#look(Math.ceil(this.#at - time), time);
      else {
        this.lift();
        this.#over();
      }
    }, milliseconds);
    this.#timer.unref();
  }
}
