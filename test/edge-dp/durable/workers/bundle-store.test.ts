import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { BundleCache, CachedManifest } from '../../../../edge-dp/config/cache.ts';
import { NO_TABLES, readTables, type Tables } from '../../../../edge-dp/config/tables.ts';
import { BundleStore } from '../../../../edge-dp/durable/bundle-store.ts';
import { inlineOrigin } from '../../../../edge-dp/durable/control-planes.ts';
import type { Bytes, ObjectName } from '../../../../shared/bundle/format.ts';
import { verifyManifest, verifyObject } from '../../../../shared/bundle/verification.ts';
import { signedConfig, TRUSTED_KEYS } from './signed-config.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

/** A cache in memory that can be looked into. */
class MemoryCache implements BundleCache {
  readonly name = 'cache';
  readonly mirrorsLazyTables = true;
  readonly objects = new Map<ObjectName, Bytes>();
  commits = async (): Promise<void> => undefined;
  deleting = Promise.resolve();
  async manifest(): Promise<CachedManifest | null> {
    return null;
  }
  async putManifest(): Promise<void> {
    await this.commits();
  }
  async get(name: ObjectName): Promise<Bytes | null> {
    return this.objects.get(name) ?? null;
  }
  async putObject(name: ObjectName, gzip: Bytes): Promise<void> {
    this.objects.set(name, gzip);
  }
  async deleteObject(name: ObjectName): Promise<void> {
    await this.deleting;
    this.objects.delete(name);
  }
  async objectNames(): Promise<Set<ObjectName>> {
    return new Set(this.objects.keys());
  }
}

/** A config as it is when it can be written. */
async function loaded(serial: number, route: string) {
  const { manifest, objects } = await signedConfig(serial, route);
  const origin = inlineOrigin(objects);
  const content = await verifyManifest(manifest, {
    trustedKeys: TRUSTED_KEYS,
    cluster: null,
    group: 'default',
    highestSerial: null,
    now: null,
  });
  const tables: Tables = await readTables(content, NO_TABLES, async (name, limit) => {
    const gzip = await origin.get(name);
    return verifyObject(name, gzip ?? expect.fail(`${name} did not come along`), limit);
  });
  return {
    names: Object.keys(objects),
    save: (store: BundleStore) => store.save({ manifest, introductions: [] }, [tables], new Map(), [origin]),
  };
}

test('keeps the objects of the config before the last, for isolates that are behind, and drops older ones after a while', async () => {
  const cache = new MemoryCache();
  const store = new BundleStore(cache);
  const names = new Map<number, readonly ObjectName[]>();

  async function save(serial: number): Promise<void> {
    const config = await loaded(serial, `route-${serial}`);
    await config.save(store);
    names.set(serial, config.names);
  }
  async function sweepLater(): Promise<void> {
    await store.sweep();
    vi.setSystemTime(Date.now() + 61_000);
    await store.sweep();
  }
  const kept = (serial: number) => (names.get(serial) ?? []).every((name) => cache.objects.has(name));

  await save(1);
  await save(2);
  await sweepLater();
  expect([kept(1), kept(2)]).toEqual([true, true]);
  await save(3);
  await store.sweep();
  expect([kept(1), kept(2), kept(3)]).toEqual([true, true, true]);
  await sweepLater();
  expect([kept(1), kept(2), kept(3)]).toEqual([false, true, true]);
  expect(cache.objects.size).toBe(4);
});

test.each(['being written', 'about to be written'])(
  'keeps the objects of a config that is %s, which had been given up',
  async (when) => {
    const cache = new MemoryCache();
    const store = new BundleStore(cache);
    for (const serial of [1, 2, 3]) await (await loaded(serial, `route-${serial}`)).save(store);
    await store.sweep();
    vi.setSystemTime(Date.now() + 61_000);
    const again = await loaded(4, 'route-1');
    const held = Promise.withResolvers<void>();
    if (when === 'being written') {
      const written = Promise.withResolvers<void>();
      cache.commits = () => {
        written.resolve();
        return held.promise;
      };
      const saving = again.save(store);
      await written.promise;
      await store.sweep();
      held.resolve();
      await saving;
    } else {
      cache.deleting = held.promise;
      const sweeping = store.sweep();
      const saving = again.save(store);
      // Whatever does not wait for what is being deleted is through by then.
      await loaded(5, 'route-5');
      held.resolve();
      await Promise.all([sweeping, saving]);
    }
    expect(again.names.filter((name) => !cache.objects.has(name))).toEqual([]);
  },
);
