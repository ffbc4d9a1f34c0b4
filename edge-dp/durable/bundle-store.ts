import type { Bytes, ObjectName } from '../../shared/bundle/format.ts';
import type { BundleCache, CachedManifest } from '../config/cache.ts';
import { findObject, type ObjectOrigin } from '../config/objects.ts';
import { inParallel } from '../config/parallel.ts';
import { objectsOf, type Tables } from '../config/tables.ts';
import { Retention } from './retention.ts';

const WIDTH = 8;

/** The writing side of the cache: objects first, the manifest last, and out with what nothing names any more. */
export class BundleStore {
  readonly cache: BundleCache;
  /** The cache, without a question for what it does not list: on Cloudflare a miss would be remembered for a minute. */
  readonly origin: ObjectOrigin;
  readonly #retention = new Retention();
  /** Null until the cache was listed. */
  #stored: Set<ObjectName> | null = null;
  #committed: string | null = null;
  #current: ReadonlySet<ObjectName> = new Set();
  #previous: ReadonlySet<ObjectName> = new Set();
  /** What the config names that is being written: what of it is there already must still be there once the manifest is. */
  #writing: ReadonlySet<ObjectName> = new Set();
  #sweeping: Promise<unknown> = Promise.resolve();

  constructor(cache: BundleCache) {
    this.cache = cache;
    this.origin = {
      name: cache.name,
      get: async (name) => ((await this.#storedNames()).has(name) ? cache.get(name) : null),
    };
  }

  /**
   * Writes a manifest's config, or both: every object the cache does not hold (from `found`, where it was read from elsewhere already, else from
   * `origins`), then the manifest. An interruption leaves the earlier config whole. Throws when an object or the cache fails.
   */
  async save(
    manifest: CachedManifest,
    configs: readonly Tables[],
    found: ReadonlyMap<ObjectName, Bytes>,
    origins: readonly ObjectOrigin[],
  ): Promise<void> {
    const needed = new Map<ObjectName, number>();
    for (const { name, size, mode } of configs.flatMap((tables) => [...objectsOf(tables)])) {
      if (mode === 'eager' || this.cache.mirrorsLazyTables) needed.set(name, needed.get(name) ?? size);
    }
    const named = new Set(needed.keys());
    this.#writing = named;
    // What is being deleted is written again when it is gone, not before.
    await this.#sweeping;
    const stored = await this.#storedNames();
    // An object read from elsewhere although the cache lists it was damaged there.
    const missing = [...needed].filter(([name]) => !stored.has(name) || found.has(name));
    await inParallel(missing, WIDTH, async ([name, size]) => {
      const gzip = found.get(name) ?? (await findObject(name, size, origins, () => undefined)).gzip;
      await this.cache.putObject(name, gzip);
      stored.add(name);
    });
    if (this.#committed !== manifest.manifest) {
      await this.cache.putManifest(manifest);
      this.#committed = manifest.manifest;
      this.#previous = this.#current;
      this.#current = named;
    }
  }

  /** Deletes what neither the current nor the previous config names. */
  async sweep(): Promise<void> {
    // Before the first commit of this process nothing is known about what is in use.
    if (this.#stored === null || this.#committed === null) return;
    const unnamed = this.#retention.garbage(this.#stored, this.#current, this.#previous, Date.now());
    const garbage = unnamed.filter((name) => !this.#writing.has(name));
    for (const name of garbage) this.#stored.delete(name);
    const deleted = inParallel(garbage, WIDTH, (name) => this.cache.deleteObject(name));
    this.#sweeping = deleted.catch(() => undefined);
    await deleted;
  }

  async #storedNames(): Promise<Set<ObjectName>> {
    this.#stored ??= await this.cache.objectNames();
    return this.#stored;
  }
}
