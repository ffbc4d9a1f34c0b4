import type { Cache } from '../runtime/services.ts';

interface Entry<T> {
  readonly value: T;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** Milliseconds it may be kept. */
  readonly ttl: number;
}

/** Entries. */
const MANY = 1_000;

/** A memory of so many bytes: the least recently used goes first. */
export class ByteCache<T> implements Cache<T> {
  maxBytes: number;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #gone: (key: string, value: T) => void;
  #bytes = 0;

  /** `gone` hears of everything that leaves, whatever the reason. */
  constructor(maxBytes: number, gone: (key: string, value: T) => void = () => undefined) {
    this.maxBytes = maxBytes;
    this.#gone = gone;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const left = entry.until - Date.now();
    // More than there ever was: the clock was set back since. Fractions are not exact.
    if (left <= 0 || left - entry.ttl > 1) {
      this.delete(key);
      return undefined;
    }
    // A Map iterates in insertion order: the used entry moves to the young end.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: T, ttl: number, bytes: number): void {
    this.delete(key);
    if (bytes > this.maxBytes) return;
    const milliseconds = ttl === 0 ? Number.POSITIVE_INFINITY : ttl * 1000;
    this.#entries.set(key, { value, bytes, until: Date.now() + milliseconds, ttl: milliseconds });
    this.#bytes += bytes;
    if (this.#bytes <= this.maxBytes) return;
    // Of many several go at once: a Map finds its oldest entry only behind the places of all that were deleted before it.
    const most = this.#entries.size > MANY ? this.maxBytes - this.maxBytes / 64 : this.maxBytes;
    for (const [oldest] of this.#entries) {
      if (this.#bytes <= most) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
    this.#gone(key, entry.value);
  }

  clear(): void {
    for (const [key] of this.#entries) this.delete(key);
  }

  /** From the least recently used on. */
  *values(): Generator<T, void> {
    for (const { value } of this.#entries.values()) yield value;
  }
}
