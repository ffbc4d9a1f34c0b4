/** Milliseconds without use after which a value is let go. */
const IDLE = 5 * 60_000;
/** How often within it is looked for those: who uses a value does not look at the clock for it. */
const LOOKS = 5;

/** Values made on demand, by key, and let go of when nobody asked for them for a while. */
export class KeyedPool<Value> {
  readonly #values = new Map<string, { readonly value: Value; idle: number }>();
  readonly #dispose: (value: Value) => void;
  #sweep: NodeJS.Timeout | null = null;

  constructor(dispose: (value: Value) => void) {
    this.#dispose = dispose;
  }

  get(key: string, make: () => Value): Value {
    let entry = this.#values.get(key);
    if (entry === undefined) {
      entry = { value: make(), idle: 0 };
      this.#values.set(key, entry);
      this.#sweep ??= setInterval(() => this.#letGo(), IDLE / LOOKS).unref();
    }
    entry.idle = 0;
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
    for (const [key, entry] of this.#values) {
      entry.idle += 1;
      if (entry.idle <= LOOKS) continue;
      this.#values.delete(key);
      this.#dispose(entry.value);
    }
  }
}
