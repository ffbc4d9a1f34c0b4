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
    const stored = await this.#storedNames();
    const named = new Set<ObjectName>();
    const missing: { readonly name: ObjectName; readonly size: number }[] = [];
    for (const { name, size, mode } of configs.flatMap((tables) => [...objectsOf(tables)])) {
      if (named.has(name) || (mode === 'lazy' && !this.cache.mirrorsLazyTables)) continue;
      named.add(name);
      // An object read from elsewhere although the cache lists it was damaged there.
      if (!stored.has(name) || found.has(name)) missing.push({ name, size });
    }
    await inParallel(missing, WIDTH, async ({ name, size }) => {
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
    const garbage = this.#retention.garbage(this.#stored, this.#current, this.#previous, Date.now());
    for (const name of garbage) this.#stored.delete(name);
    await inParallel(garbage, WIDTH, (name) => this.cache.deleteObject(name));
  }

  async #storedNames(): Promise<Set<ObjectName>> {
    this.#stored ??= await this.cache.objectNames();
    return this.#stored;
  }
}
