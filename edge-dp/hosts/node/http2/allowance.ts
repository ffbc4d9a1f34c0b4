/** How often something may happen: so many times at once, and then so many a second. */
export class Allowance {
  readonly #most: number;
  readonly #perSecond: number;
  #left: number;
  /** Milliseconds. */
  #at: number;

  constructor({ most, perSecond }: { readonly most: number; readonly perSecond: number }, now: number) {
    this.#most = most;
    this.#perSecond = perSecond;
    this.#left = most;
    this.#at = now;
  }

  /** It happened. False: once too often. */
  take(now: number): boolean {
    this.#left = Math.min(this.#most, this.#left + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    this.#left -= 1;
    return this.#left >= 0;
  }

  /** More of it is fine, since something useful happened. */
  give(times: number): void {
    this.#left = Math.min(this.#most, this.#left + times);
  }
}
