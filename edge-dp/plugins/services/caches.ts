import type { Cache } from '../runtime/services.ts';

/** Memories of the isolate by name: those who name the same one share it. */
export class Caches {
  readonly #open = new Map<string, ByteCache>();

  open<T>(name: string, maxBytes: number): Cache<T> {
    let cache = this.#open.get(name);
    if (cache === undefined) {
      cache = new ByteCache();
      this.#open.set(name, cache);
    }
    cache.maxBytes = Math.max(cache.maxBytes, maxBytes);
    // Whoever names a cache knows what is in it.
    return cache as Cache<unknown> as Cache<T>;
  }
}

interface Entry {
  readonly value: unknown;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** The least recently used goes first. */
class ByteCache implements Cache<unknown> {
  maxBytes = 0;
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  get(key: string): unknown {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    // A Map iterates in insertion order: the used entry moves to the young end.
    this.#entries.delete(key);
    if (entry.until <= Date.now()) {
      this.#bytes -= entry.bytes;
      return undefined;
    }
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: unknown, ttl: number, bytes: number): void {
    this.delete(key);
    if (bytes > this.maxBytes) return;
    const until = ttl === 0 ? Number.POSITIVE_INFINITY : Date.now() + ttl * 1000;
    this.#entries.set(key, { value, bytes, until });
    this.#bytes += bytes;
    for (const [oldest] of this.#entries) {
      if (this.#bytes <= this.maxBytes) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}
