import { utf8 } from '../../shared/bundle/canonical.ts';
import type { Bytes, ObjectName } from '../../shared/bundle/format.ts';
import type { Env } from '../env.ts';
import { settingSecret } from '../vaults/setting-secret.ts';
import { type CacheCipher, cacheCipher } from './cipher.ts';
import type { ObjectOrigin } from './objects.ts';

/**
 * The bundle as it rests on this node (`data_plane_config_cache_mode`). Nothing read from it is believed: callers
 * verify signatures and hashes as they do with what the network brings.
 */
export interface BundleCache extends ObjectOrigin {
  /** False: shards of lazy tables are not kept, each is asked for when a request needs it. */
  readonly mirrorsLazyTables: boolean;
  manifest(): Promise<CachedManifest | null>;
  /** The commit point: to be called when every object of the manifest is there. */
  putManifest(manifest: CachedManifest): Promise<void>;
  putObject(name: ObjectName, gzip: Bytes): Promise<void>;
  deleteObject(name: ObjectName): Promise<void>;
  objectNames(): Promise<Set<ObjectName>>;
}

/** A manifest (compact JWS) with what is needed to verify it again after a restart. */
export interface CachedManifest {
  readonly manifest: string;
  /** Statements about keys, and manifests, that introduced the key `manifest` is signed by, oldest first; empty for a pinned key. */
  readonly introductions: readonly string[];
}

/**
 * Milliseconds a read may take. On your own box KV lives in the first process: while that one is restarted, reads of the
 * others wait in its socket's backlog, and a request must not wait with them for ever.
 */
const READ_TIMEOUT = 5_000;

const MANIFEST = 'manifest';
const INTRODUCTIONS = 'introductions';
const OBJECTS = 'objects/';

/** The cache of this node; module-wide memory when the mode is `off`. */
export function bundleCache(env: Env): BundleCache {
  const { cacheMode, cacheKey } = env.SETTINGS;
  if (cacheMode === 'off') return memoryCache;
  const key = async () => (cacheKey === undefined ? undefined : await settingSecret(env, cacheKey));
  return new KvCache(env.KV, cacheMode === 'encrypted' ? cacheCipher(key) : null);
}

class KvCache implements BundleCache {
  readonly name = 'cache';
  readonly mirrorsLazyTables = true;
  readonly #kv: KVNamespace;
  readonly #cipher: CacheCipher | null;

  constructor(kv: KVNamespace, cipher: CacheCipher | null) {
    this.#kv = kv;
    this.#cipher = cipher;
  }

  async manifest(): Promise<CachedManifest | null> {
    const [manifest, introductions] = await Promise.all([this.#get(MANIFEST), this.#get(INTRODUCTIONS)]);
    if (manifest === null) return null;
    return {
      manifest: new TextDecoder().decode(manifest),
      introductions: introductions === null ? [] : stringsOf(new TextDecoder().decode(introductions)),
    };
  }

  async putManifest({ manifest, introductions }: CachedManifest): Promise<void> {
    if (introductions.length > 0) await this.#put(INTRODUCTIONS, utf8(JSON.stringify(introductions)));
    await this.#put(MANIFEST, utf8(manifest));
  }

  get(name: ObjectName): Promise<Bytes | null> {
    return this.#get(OBJECTS + name);
  }

  putObject(name: ObjectName, gzip: Bytes): Promise<void> {
    return this.#put(OBJECTS + name, gzip);
  }

  deleteObject(name: ObjectName): Promise<void> {
    return this.#kv.delete(OBJECTS + name);
  }

  async objectNames(): Promise<Set<ObjectName>> {
    const names = new Set<ObjectName>();
    // Sealed with another key (`cluster_cert_key` was renewed), no entry is of use: all are to be written again.
    if (this.#cipher !== null && (await this.#get(MANIFEST).then(Boolean, () => false)) === false) return names;
    let cursor: string | null = null;
    do {
      const page: KVNamespaceListResult<unknown> = await this.#kv.list({ prefix: OBJECTS, cursor });
      for (const { name } of page.keys) names.add(name.slice(OBJECTS.length));
      cursor = page.list_complete ? null : page.cursor;
    } while (cursor !== null);
    return names;
  }

  async #get(key: string): Promise<Bytes | null> {
    const stored = await within(READ_TIMEOUT, this.#kv.get(key, 'arrayBuffer'));
    if (stored === null) return null;
    const bytes = new Uint8Array(stored);
    return this.#cipher === null ? bytes : this.#cipher.open(key, bytes);
  }

  async #put(key: string, bytes: Bytes): Promise<void> {
    const stored = this.#cipher === null ? bytes : await this.#cipher.seal(key, bytes);
    await this.#kv.put(key, stored);
  }
}

/** Rejects when `work` takes longer than `limit` ms. */
async function within<T>(limit: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`KV did not answer within ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function stringsOf(text: string): string[] {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) throw new TypeError('expected an array');
  return value.map(String);
}

/** Mode `off`: what every request needs stays in memory for the other processes of the box, and nothing rests. */
class MemoryCache implements BundleCache {
  readonly name = 'memory';
  readonly mirrorsLazyTables = false;
  readonly #objects = new Map<ObjectName, Bytes>();

  async manifest(): Promise<null> {
    return null;
  }
  async putManifest(): Promise<void> {}

  async get(name: ObjectName): Promise<Bytes | null> {
    return this.#objects.get(name) ?? null;
  }
  async putObject(name: ObjectName, gzip: Bytes): Promise<void> {
    this.#objects.set(name, gzip);
  }
  async deleteObject(name: ObjectName): Promise<void> {
    this.#objects.delete(name);
  }
  async objectNames(): Promise<Set<ObjectName>> {
    return new Set(this.#objects.keys());
  }
}

const memoryCache = new MemoryCache();
