/** Milliseconds without use after which a value is let go. */
const IDLE = 5 * 60_000;

/** Values made on demand, by key, and let go of when nobody asked for them for a while. */
export class KeyedPool<Value> {
  readonly #values = new Map<string, { readonly value: Value; usedAt: number }>();
  readonly #dispose: (value: Value) => void;
  #sweep: NodeJS.Timeout | null = null;

  constructor(dispose: (value: Value) => void) {
    this.#dispose = dispose;
  }

  get(key: string, make: () => Value): Value {
    let entry = this.#values.get(key);
    if (entry === undefined) {
      entry = { value: make(), usedAt: 0 };
      this.#values.set(key, entry);
      this.#sweep ??= setInterval(() => this.#letGo(), IDLE / 5).unref();
    }
    entry.usedAt = performance.now();
    return entry.value;
  }

  /** Forgets a value that is no longer good, if it is still the key's. */
  forget(key: string, value: Value): void {
    if (this.#values.get(key)?.value === value) this.#values.delete(key);
  }

  clear(): void {
    for (const { value } of this.#values.values()) this.#dispose(value);
    this.#values.clear();
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#sweep = null;
  }

  #letGo(): void {
    const before = performance.now() - IDLE;
    for (const [key, { value, usedAt }] of this.#values) {
      if (usedAt >= before) continue;
      this.#values.delete(key);
      this.#dispose(value);
    }
  }
}
