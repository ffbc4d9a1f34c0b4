/** Milliseconds after which the same is worth saying again. */
const PAUSE = 600_000;
/** Things remembered; what others can make differ must not fill the memory. */
const MOST = 1_000;

/** Keeps a log from being filled with the same line, by whoever tries again and again. */
export class Lately {
  readonly #said = new Map<string, number>();

  /** True when this was not said lately; it counts as said from then on. */
  isNew(what: string, now = Date.now()): boolean {
    for (const [other, at] of this.#said) {
      if (Math.abs(now - at) < PAUSE) break;
      this.#said.delete(other);
    }
    if (this.#said.has(what) || this.#said.size >= MOST) return false;
    this.#said.set(what, now);
    return true;
  }
}
