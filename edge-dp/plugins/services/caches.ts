import type { Cache } from '../runtime/services.ts';
import { ByteCache } from './byte-cache.ts';

/** Memories of the isolate by name: those who name the same one share it. */
export class Caches {
  readonly #open = new Map<string, ByteCache<unknown>>();

  open<T>(name: string, maxBytes: number): Cache<T> {
    let cache = this.#open.get(name);
    if (cache === undefined) {
      cache = new ByteCache<unknown>(maxBytes);
      this.#open.set(name, cache);
    }
    cache.maxBytes = Math.max(cache.maxBytes, maxBytes);
    // Whoever names a cache knows what is in it.
    return cache as Cache<unknown> as Cache<T>;
  }
}
