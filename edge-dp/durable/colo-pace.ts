/** Milliseconds that isolates gather what they count at least, and at most: a request may be used to send for 20 seconds. */
const LEAST = 1_000;
const MOST = 15_000;
/** Milliseconds over which those that come are counted. */
const WINDOW = 5_000;
/** Of all isolates of a colo together, by the second: what they send is billed by the piece. */
const WANTED = 1;

/** How long isolates of a colo gather before they send, by how many they are: few send often, and many do not send more. */
export class ColoPace {
  #every = LEAST;
  #since = Number.NEGATIVE_INFINITY;
  #came = 0;

  /** One has come, at `now` (milliseconds). Returns the milliseconds that it is to gather until it comes again. */
  came(now: number): number {
    const passed = now - this.#since;
    // After a rest, or a clock that was set back, nothing is known.
    if (passed < 0 || passed > 2 * MOST) {
      this.#every = LEAST;
      this.#since = now;
      this.#came = 0;
    } else if (passed >= WINDOW) {
      const isolates = (this.#came * this.#every) / passed;
      const wanted = (isolates * 1000) / WANTED;
      // Those who were told to wait long are not counted yet: it is taken back step by step.
      this.#every = Math.min(MOST, Math.max(LEAST, wanted, this.#every / 2));
      this.#since = now;
      this.#came = 0;
    }
    this.#came++;
    return Math.round(this.#every);
  }
}
