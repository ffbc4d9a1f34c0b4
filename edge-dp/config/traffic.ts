/** Isolates of a node whose last word is kept; the counts of older ones are added up. */
const MAX_ISOLATES = 100;

/**
 * How many requests a node has taken: this isolate's own, and what its other isolates tell with their questions for news.
 * One addition a request.
 */
export class Traffic {
  #own = 0;
  #name: string | null = null;
  #forgotten = 0;
  readonly #others = new Map<string, number>();

  count(): void {
    this.#own += 1;
  }

  /** What this isolate tells the others. Named late: nothing random can be had before the first request. */
  get told(): { readonly isolate: string; readonly requests: number } {
    this.#name ??= crypto.randomUUID();
    return { isolate: this.#name, requests: this.#own };
  }

  heard(isolate: string, requests: number): void {
    if (isolate === this.#name) return;
    this.#others.set(isolate, requests);
    if (this.#others.size <= MAX_ISOLATES) return;
    for (const [oldest, count] of this.#others) {
      this.#others.delete(oldest);
      this.#forgotten += count;
      return;
    }
  }

  get total(): number {
    return [...this.#others.values()].reduce((sum, count) => sum + count, this.#own + this.#forgotten);
  }
}
