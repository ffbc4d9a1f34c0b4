import { atMost } from '../config/at-most.ts';

/** Milliseconds a change is kept from counting as applied by isolates that do not say that they have taken it. */
const PATIENCE = 5_000;

/**
 * The other isolates of a node that may serve without asking when a change comes: those that wait for news, and those that were answered
 * less than `lease` ms ago. A change is acknowledged once they have taken it, or ask before they serve. All others do that anyway.
 */
export class Followers {
  readonly #lease: number;
  readonly #waiting = new Map<string, number>();
  /** When each was answered last, in the order of that. */
  readonly #answered = new Map<string, number>();
  #version: string | null = null;
  #behind = new Set<string>();
  /** Those of them that have not asked since the change. */
  #leased = new Set<string>();
  #allThere = Promise.withResolvers<void>();

  constructor(lease: number) {
    this.#lease = lease;
  }

  /** `isolate` waits for as long as `news` does. */
  async waits(isolate: string, news: Promise<void>): Promise<void> {
    this.#waiting.set(isolate, (this.#waiting.get(isolate) ?? 0) + 1);
    try {
      await news;
    } finally {
      // It is told what there is now.
      this.answered(isolate);
      const others = (this.#waiting.get(isolate) ?? 1) - 1;
      if (others === 0) this.#waiting.delete(isolate);
      else this.#waiting.set(isolate, others);
    }
  }

  /** It is about to be told what the newest is, and goes by that for a while. */
  answered(isolate: string, now = performance.now()): void {
    this.#answered.delete(isolate);
    this.#answered.set(isolate, now);
    this.#forgetBefore(now - this.#lease);
  }

  /** An isolate asks, and says what it has. */
  has(isolate: string, version: string | null): void {
    this.#leased.delete(isolate);
    if (version === this.#version && this.#behind.delete(isolate)) this.#look();
  }

  /** There is news. Resolves when all have taken it, or have had the time to. */
  async changed(version: string, now = performance.now()): Promise<void> {
    this.#forgetBefore(now - this.#lease);
    this.#version = version;
    this.#leased = new Set([...this.#answered.keys()].filter((isolate) => !this.#waiting.has(isolate)));
    this.#behind = new Set([...this.#waiting.keys(), ...this.#leased]);
    const allThere = Promise.withResolvers<void>();
    // Whoever has this one is past the one before.
    void allThere.promise.then(this.#allThere.resolve);
    this.#allThere = allThere;
    this.#look();
    await atMost(this.#lease, allThere.promise);
    // What came while this isolate was busy is heard of before anybody is taken for one that asks.
    if (this.#behind.size > 0) await new Promise((heard) => setTimeout(heard, 0));
    if (allThere === this.#allThere) {
      for (const isolate of this.#leased) this.#behind.delete(isolate);
      this.#look();
    }
    await atMost(PATIENCE, allThere.promise);
  }

  #look(): void {
    if (this.#behind.size === 0) this.#allThere.resolve();
  }

  #forgetBefore(then: number): void {
    for (const [isolate, at] of this.#answered) {
      if (at > then) return;
      this.#answered.delete(isolate);
    }
  }
}
