import type { Bytes, ObjectName } from '../../shared/bundle/format.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { EdgeCache } from '../http/edge-cache.ts';
import { type CacheCipher, cacheCipher } from './cipher.ts';
import type { ObjectOrigin } from './objects.ts';

/** Seconds that objects are kept: all isolates of a colo need a new one within moments, which KV may not have for a minute. */
const OBJECT_TTL = 300;
/** Milliseconds between two lines in the log about a cache that fails. */
const COMPLAINT = 60_000;

/**
 * What isolates of a node have in common within one of Cloudflare's data centers (colos), in the cache there. Sealed with a key that only
 * they have: other Workers of the zone, which share that cache, can neither read it nor put something in its place, and other
 * nodes cannot either. It may be gone at any time, or never have been kept.
 */
export class ColoCache {
  readonly #cache: EdgeCache;
  readonly #node: string;
  #key: string | null = null;
  #cipher: CacheCipher | null = null;
  #complainedAt = Number.NEGATIVE_INFINITY;

  /** `node`: its id. */
  constructor(cache: EdgeCache, node: string) {
    this.#cache = cache;
    this.#node = node;
  }

  /** The owner of the link has told the node's key for it. Without one nothing is found, and nothing kept. */
  unlock(key: string): void {
    if (key === this.#key) return;
    this.#key = key;
    this.#cipher = cacheCipher(async () => key);
  }

  get isUnlocked(): boolean {
    return this.#cipher !== null;
  }

  /** Null: there is nothing that an isolate of this node has put there. Never throws. */
  async get(name: string): Promise<Bytes | null> {
    const cipher = this.#cipher;
    if (cipher === null) return null;
    const place = this.#place(name);
    const sealed = await this.#tolerating(this.#cache.get(place));
    if (sealed == null) return null;
    // Somebody else's, or of a key before: it is written over.
    return cipher.open(place, new Uint8Array(sealed)).catch(() => null);
  }

  /** `ttl` in seconds. Never throws. */
  async put(name: string, bytes: Bytes, ttl: number): Promise<void> {
    if (this.#cipher === null) return;
    const place = this.#place(name);
    const sealed = await this.#cipher.seal(place, bytes);
    await this.#tolerating(this.#cache.put(place, sealed, { ttl, tags: 'holdfast' }));
  }

  /** Where config's objects are found: here, else at `origins`; what those have is kept here for the others. */
  objects(origins: readonly ObjectOrigin[]): readonly ObjectOrigin[] {
    const place = (name: ObjectName) => `objects/${name}`;
    const filling = (origin: ObjectOrigin): ObjectOrigin => ({
      name: origin.name,
      get: async (object) => {
        const bytes = await origin.get(object);
        if (bytes !== null) await this.put(place(object), bytes, OBJECT_TTL);
        return bytes;
      },
    });
    return [{ name: 'colo', get: (object) => this.get(place(object)) }, ...origins.map(filling)];
  }

  #place(name: string): string {
    return `nodes/${this.#node}/${name}`;
  }

  async #tolerating<T>(work: Promise<T>): Promise<T | null> {
    try {
      return await work;
    } catch (error) {
      const now = Date.now();
      if (Math.abs(now - this.#complainedAt) > COMPLAINT) {
        this.#complainedAt = now;
        console.warn(`the edge's cache does not answer, the owner of the link is asked instead: ${messageOf(error)}`);
      }
      return null;
    }
  }
}
