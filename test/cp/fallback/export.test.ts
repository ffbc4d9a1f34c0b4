import { afterEach, expect, it, onTestFinished, vi } from 'vitest';
import { objectFile } from '../../../cp/fallback/bundle-file.ts';
import { FallbackExport } from '../../../cp/fallback/export.ts';
import { BUNDLE_FILE } from '../../../cp/fallback/folder.ts';
import type { FallbackStorage } from '../../../cp/fallback/storage.ts';
import { createLog } from '../../../cp/instance/log.ts';
import type { Publisher } from '../../../cp/publisher/publisher.ts';
import { MemoryFeed } from '../publisher/memory-feed.ts';
import { route, start } from '../publisher/publishing.ts';

const LONG = 2 * 3_600_000;

/** What a test does where the first control plane is about to do something, by the name of the file. */
const before: {
  get?: () => Promise<void>;
  delete?: (name: string) => Promise<void>;
  put?: (name: string) => Promise<void>;
} = {};
afterEach(() => {
  for (const what of ['get', 'put', 'delete'] as const) delete before[what];
});

/** Two control planes over one database that export to one storage, and what is in that. */
async function twoPlanes() {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const feed = new MemoryFeed();
  feed.put('services', { id: 'service-a', name: 'a', host: 'a.test' });
  feed.put('routes', route(1, 'service-a'));
  const files = new Map<string, Uint8Array>();
  const storage: FallbackStorage = {
    get: async (name) => files.get(name) ?? null,
    put: async (name, bytes) => void files.set(name, bytes),
    delete: async (name) => void files.delete(name),
  };
  const hooked: FallbackStorage = {
    async get(name, limit) {
      await before.get?.();
      return storage.get(name, limit);
    },
    async put(name, bytes) {
      await before.put?.(name);
      return storage.put(name, bytes);
    },
    async delete(name) {
      await before.delete?.(name);
      return storage.delete(name);
    },
  };
  const [{ publisher: own }, { publisher: other }] = [await start(feed), await start(feed)];
  const log = createLog('crit', () => undefined);
  const first = new FallbackExport({ storage: hooked, publisher: own, delay: 1, log });
  onTestFinished(() => first.stop());
  const second = () => new FallbackExport({ storage, publisher: other, delay: 1, log });
  const serialThere = (): number => {
    const { groups } = JSON.parse(Buffer.from(files.get(BUNDLE_FILE) ?? Buffer.from('{"groups":".e30"}')).toString());
    return JSON.parse(Buffer.from(groups.split('.')[1], 'base64url').toString()).serial ?? 0;
  };
  const there = (serial: number) => expect.poll(serialThere, { timeout: 20_000 }).toBe(serial);
  return { feed, files, first, second, own, there };
}

const objectsOf = (publisher: Publisher): string[] =>
  [...publisher.missing(publisher.current().manifest, null)].map(objectFile);

/** The same, where the objects of a route are not named any more. `objects`: all that there were with it. */
async function withUnused() {
  const planes = await twoPlanes();
  const { feed, own, there } = planes;
  await there(2);
  const objects = objectsOf(own);
  feed.write(['delete', 'routes', route(1).id]);
  await there(3);
  return { ...planes, objects };
}

it('puts an object back that it deleted just as another control plane named it again', async () => {
  const { feed, files, first, second, own, there, objects } = await withUnused();
  vi.setSystemTime(Date.now() + LONG);
  let deleted = false;
  before.delete = async () => {
    delete before.delete;
    feed.put('routes', route(1, 'service-a'));
    const other = second();
    await there(5);
    await other.stop();
    deleted = true;
  };
  feed.put('services', { id: 'service-b', name: 'b', host: 'b.test' });
  await there(5);
  await expect.poll(() => deleted, { message: 'what was deleted' }).toBe(true);
  await first.stop();
  const now = objectsOf(own);
  expect(now.filter((name) => objects.includes(name))).not.toEqual([]);
  expect(now.filter((name) => !files.has(name))).toEqual([]);
});

it('leaves an object for its time that was named again meanwhile, by another control plane', async () => {
  const { feed, files, first, second, there, objects } = await withUnused();
  vi.setSystemTime(Date.now() + LONG);
  const gate = Promise.withResolvers<void>();
  before.get = () => gate.promise;
  const other = second();
  feed.put('routes', route(1, 'service-a'));
  await there(4);
  await other.stop();
  gate.resolve();
  feed.write(['delete', 'routes', route(1).id]);
  await there(5);
  await first.stop();
  expect(objects.filter((name) => !files.has(name))).toEqual([]);
});

it('deletes what was unused before a restart, and nothing that is no object', async () => {
  const { feed, files, first, second, own, there, objects } = await withUnused();
  await first.stop();
  const gone = objects.filter((name) => !objectsOf(own).includes(name));
  expect([gone.length > 0, gone.filter((name) => !files.has(name))]).toEqual([true, []]);
  const file = JSON.parse(Buffer.from(files.get(BUNDLE_FILE) ?? []).toString());
  files.set(BUNDLE_FILE, Buffer.from(JSON.stringify({ ...file, unused: { ...file.unused, '../other': 1 } })));
  files.set(objectFile('../other'), Buffer.from('another one’s'));
  vi.setSystemTime(Date.now() + LONG);
  const again = second();
  feed.put('services', { id: 'service-b', name: 'b', host: 'b.test' });
  await there(4);
  await again.stop();
  expect(gone.filter((name) => files.has(name))).toEqual([]);
  expect(files.has(objectFile('../other'))).toBe(true);
});

it('deletes after a restart what was to be deleted before it', async () => {
  const { feed, files, first, second, own, there, objects } = await withUnused();
  const gone = objects.filter((name) => !objectsOf(own).includes(name));
  vi.setSystemTime(Date.now() + LONG);
  before.delete = () => Promise.reject(new Error('no answer'));
  feed.put('services', { id: 'service-b', name: 'b', host: 'b.test' });
  await there(4);
  await first.stop();
  expect([gone.length > 0, gone.filter((name) => !files.has(name))]).toEqual([true, []]);
  const again = second();
  feed.put('services', { id: 'service-c', name: 'c', host: 'c.test' });
  await there(5);
  await again.stop();
  expect(gone.filter((name) => files.has(name))).toEqual([]);
});

it('writes nothing more of an attempt that has failed', async () => {
  const { feed, first, there } = await twoPlanes();
  await there(2);
  await first.stop();
  const publisher = (await start(feed)).publisher;
  feed.put('routes', ...Array.from({ length: 20_000 }, (_, n) => route(n, 'service-a')));
  await publisher.flush();
  expect(objectsOf(publisher).length).toBeGreaterThan(20);
  const puts: string[] = [];
  const slow = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<void>();
  const storage: FallbackStorage = {
    get: async () => null,
    async put(name) {
      puts.push(name);
      if (puts.length === 1) throw new Error('no space');
      await slow.promise;
    },
    delete: async () => undefined,
  };
  const log = createLog('error', () => failed.resolve());
  const third = new FallbackExport({ storage, publisher, delay: 1, log });
  onTestFinished(() => third.stop());
  await expect.poll(() => puts.length).toBe(8);
  slow.resolve();
  await failed.promise;
  for (let turn = 0; turn < 50; turn++) await new Promise((over) => setImmediate(over));
  expect(puts).toHaveLength(8);
});
