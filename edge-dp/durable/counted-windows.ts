/** Which window of whom; milliseconds. */
interface Named {
  readonly key: string;
  readonly start: number;
  readonly length: number;
}

/** Windows that begin and end at the same time. */
interface Span<V> {
  readonly start: number;
  readonly end: number;
  /** By key, those set longest ago first. */
  readonly values: Map<string, V>;
}

/** Milliseconds between two looks for windows that are over. */
const SWEEP = 1_000;

/**
 * Something for each window until that is over. Bounded: who counts by what clients send must not run out of memory, so beyond `most`
 * windows those set longest ago are forgotten, of the span that has most of them.
 */
export class CountedWindows<V> {
  readonly #most: number;
  readonly #full: () => void;
  /** By length, then by start. */
  readonly #spans = new Map<number, Map<number, Span<V>>>();
  /** Asked for last: most windows of one time are those of the next. */
  #latest: Span<V> | null = null;
  #size = 0;
  #sweepAt = 0;

  constructor(most: number, full: () => void) {
    this.#most = most;
    this.#full = full;
  }

  get size(): number {
    return this.#size;
  }

  get({ key, start, length }: Named): V | undefined {
    const latest = this.#latest;
    if (latest !== null && latest.start === start && latest.end === start + length) return latest.values.get(key);
    const span = this.#spans.get(length)?.get(start);
    if (span === undefined) return undefined;
    this.#latest = span;
    return span.values.get(key);
  }

  set(window: Named, value: V, now: number): void {
    if (now >= this.#sweepAt) this.#sweep(now);
    const { values } = this.#spanOf(window);
    // A Map iterates in insertion order: what is set moves to the young end.
    const known = values.delete(window.key);
    values.set(window.key, value);
    if (known) return;
    this.#size += 1;
    if (this.#size > this.#most) this.#forget();
  }

  #spanOf({ start, length }: Named): Span<V> {
    let sameLength = this.#spans.get(length);
    if (sameLength === undefined) {
      sameLength = new Map();
      this.#spans.set(length, sameLength);
    }
    let span = sameLength.get(start);
    if (span === undefined) {
      span = { start, end: start + length, values: new Map() };
      sameLength.set(start, span);
    }
    return span;
  }

  /** Several at once: a Map finds its oldest entry only behind the places of all that were deleted before it. */
  #forget(): void {
    let largest: Span<V> | null = null;
    for (const spans of this.#spans.values()) {
      for (const span of spans.values()) if (largest === null || span.values.size > largest.values.size) largest = span;
    }
    let left = Math.max(1, this.#most >> 6);
    for (const [oldest] of largest?.values ?? []) {
      largest?.values.delete(oldest);
      this.#size -= 1;
      left -= 1;
      if (left === 0) break;
    }
    this.#full();
  }

  #sweep(now: number): void {
    this.#sweepAt = now + SWEEP;
    this.#latest = null;
    for (const spans of this.#spans.values()) {
      for (const [start, { end, values }] of spans) {
        if (end > now) continue;
        this.#size -= values.size;
        spans.delete(start);
      }
    }
  }
}
