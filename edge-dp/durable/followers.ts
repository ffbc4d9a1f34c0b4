import { atMost } from '../config/at-most.ts';

/** Milliseconds a change is kept from counting as applied by isolates that do not say that they have taken it. */
const PATIENCE = 5_000;

/**
 * The other isolates of a node that were waiting for news when it came: a change is acknowledged once they have taken it. Those
 * that were not waiting ask before they serve.
 */
export class Followers {
  readonly #waiting = new Map<string, number>();
  #version: string | null = null;
  #behind = new Set<string>();
  #allThere = Promise.withResolvers<void>();

  constructor() {
    this.#allThere.resolve();
  }

  /** `isolate` waits for as long as `news` does. */
  async waits(isolate: string, news: Promise<void>): Promise<void> {
    this.#waiting.set(isolate, (this.#waiting.get(isolate) ?? 0) + 1);
    try {
      await news;
    } finally {
      const others = (this.#waiting.get(isolate) ?? 1) - 1;
      if (others === 0) this.#waiting.delete(isolate);
      else this.#waiting.set(isolate, others);
    }
  }

  /** There is news. */
  changed(version: string): void {
    this.#version = version;
    this.#behind = new Set(this.#waiting.keys());
    this.#allThere = Promise.withResolvers();
    if (this.#behind.size === 0) this.#allThere.resolve();
  }

  has(isolate: string, version: string | null): void {
    if (version !== this.#version || !this.#behind.delete(isolate)) return;
    if (this.#behind.size === 0) this.#allThere.resolve();
  }

  /** Resolves when all have taken the last change, or have had the time to. */
  async caughtUp(): Promise<void> {
    await atMost(PATIENCE, this.#allThere.promise);
  }
}
