import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tablesOf } from '../../../cp/publisher/tables.ts';
import { MemoryFeed } from './memory-feed.ts';
import { ids, receive, route, start } from './publishing.ts';

describe('a publisher', () => {
  test('publishes every row in verifiable objects, keys only as digests, and names the configured plugins', async () => {
    const feed = new MemoryFeed();
    feed.put('services', { id: 's1', enabled: true });
    feed.put('routes', route(1, 's1'));
    feed.put('plugins', { id: 'p1', name: 'key-auth', enabled: true }, { id: 'p2', name: 'cors', enabled: false });
    feed.put('keyauth_credentials', { id: 'k1', key: 'open sesame', consumer: { id: 'c1' }, ttl: 1900000000 });
    feed.put('other', { id: 'never' });
    const { publisher } = await start(feed);
    const tables = await receive(publisher);
    expect(tables.get('routes')).toEqual([route(1, 's1')]);
    const digest = createHash('sha256').update('open sesame').digest('hex');
    expect(tables.get('keyauth_credentials')).toEqual([
      { id: 'k1', key: digest, consumer: { id: 'c1' }, ttl: 1900000000 },
    ]);
    expect(publisher.current().manifest).toMatchObject({ serial: 5, plugins: { 'key-auth': '3.9.3' } });
    expect(tables.has('other')).toBe(false);
  });

  test('finds consumers by a second field, of which an index changes only when that does', async () => {
    const feed = new MemoryFeed();
    const consumer = (n: number, changes: object = {}) => ({
      id: `c${String(n).padStart(5, '0')}`,
      ws_id: 'w1',
      username: n % 10 === 0 ? null : `user-${n}`,
      custom_id: `custom-${n}`,
      ...changes,
    });
    const rule = { mode: 'lazy', lookup: 'id', also: ['username', 'custom_id'], hashed: ['custom_id'] } as const;
    feed.put('consumers', ...Array.from({ length: 1_500 }, (_, n) => consumer(n)));
    const { publisher } = await start(feed, { tables: tablesOf({ name: 'consumers', bundle: rule }) });
    const tables = await receive(publisher);
    expect(tables.get('consumers.username')).toHaveLength(1_350);
    expect(tables.get('consumers.username')?.[0]).toEqual({ id: 'c00001', ws_id: 'w1', username: 'user-1' });
    const custom_id = createHash('sha256').update('custom-0').digest('hex');
    expect(tables.get('consumers.custom_id')?.[0]).toEqual({ id: 'c00000', ws_id: 'w1', custom_id });
    expect(tables.get('consumers')?.[0]).toEqual(consumer(0, { custom_id }));

    const first = publisher.current().manifest;
    feed.put('consumers', consumer(7, { tags: ['new'] }));
    await publisher.flush();
    const second = publisher.current().manifest;
    expect(second.tables['consumers.username']).toEqual(first.tables['consumers.username']);
    expect(second.tables.consumers).not.toEqual(first.tables.consumers);

    const changes = [
      consumer(7, { username: 'renamed' }),
      consumer(8, { username: null }),
      consumer(10, { username: 'x' }),
    ];
    feed.write(...changes.map((row) => ['put', 'consumers', row] as const), ['delete', 'consumers', 'c00009']);
    await publisher.flush();
    const renamed = (await receive(publisher)).get('consumers.username');
    expect(renamed?.filter(({ id }) => id >= 'c00007' && id <= 'c00010')).toEqual([
      { id: 'c00007', ws_id: 'w1', username: 'renamed' },
      { id: 'c00010', ws_id: 'w1', username: 'x' },
    ]);
    expect(renamed).toHaveLength(1_349);
    const again = await start(feed, { tables: tablesOf({ name: 'consumers', bundle: rule }) });
    expect(await receive(again.publisher)).toEqual(await receive(publisher));
  });

  test('resends two objects when one of 10,000 routes changes, under 300 KB with the manifest', async () => {
    const feed = new MemoryFeed();
    // Some more: those that wait to be packed are kept in thousands.
    feed.put('routes', ...Array.from({ length: 10_003 }, (_, n) => route(n)));
    const { publisher } = await start(feed);
    const before = publisher.current().manifest;
    expect(ids((await receive(publisher)).get('routes') ?? [])).toEqual(
      ids(Array.from({ length: 10_003 }, (_, n) => route(n))).toSorted(),
    );
    const all = [...publisher.missing(publisher.current().manifest, null)];
    expect(all.length).toBeGreaterThan(20);
    feed.put('routes', { ...route(4711), strip_path: false });
    await publisher.flush();
    const missing = [...publisher.missing(publisher.current().manifest, before)];
    expect(missing).toHaveLength(2);
    const bytes = missing.reduce((sum, name) => sum + (publisher.object(name)?.gzip.length ?? 0), 0);
    expect(bytes + publisher.current().jws.length).toBeLessThan(300_000);
    expect(feed.loads).toBe(1);
    // A data plane still busy with the first manifest can finish.
    for (const name of all) expect(publisher.object(name)).toBeDefined();
    expect((await receive(publisher)).get('routes')?.find((row) => row.id === route(4711).id)?.strip_path).toBe(false);
  });

  test('makes one release of a burst of writes', async () => {
    const feed = new MemoryFeed();
    const { publisher } = await start(feed);
    const serials: number[] = [];
    await publisher.flush();
    const released = new Promise<void>((resolve) => {
      publisher.subscribe((release) => {
        serials.push(release.manifest.serial);
        resolve();
      });
    });
    for (let n = 0; n < 300; n++) feed.put('routes', route(n));
    await released;
    expect(serials).toEqual([300]);
  });

  test('gives old objects under a new serial when a change is taken back', async () => {
    const feed = new MemoryFeed();
    feed.put('routes', route(1), route(2));
    const { publisher } = await start(feed);
    const first = publisher.current().manifest;
    feed.put('routes', { ...route(1), name: 'changed' });
    await publisher.flush();
    const second = publisher.current().manifest;
    feed.put('routes', route(1));
    await publisher.flush();
    const third = publisher.current().manifest;
    expect([third.serial, third.config_hash]).toEqual([3, first.config_hash]);
    expect(second.config_hash).not.toBe(first.config_hash);
    expect([...publisher.missing(publisher.current().manifest, first)]).toEqual([]);
  });

  test('leaves out a disabled service with its routes and their plugins, and brings them back', async () => {
    const feed = new MemoryFeed();
    feed.put('services', { id: 's1', enabled: true }, { id: 's2', enabled: true });
    feed.put('routes', route(1, 's1'), route(2, 's2'));
    feed.put(
      'plugins',
      { id: 'p1', name: 'cors', enabled: true, service: { id: 's1' } },
      { id: 'p2', name: 'acl', enabled: true, route: { id: route(1).id } },
      { id: 'p3', name: 'jwt', enabled: true, route: { id: route(2).id } },
    );
    const { publisher } = await start(feed);
    const before = await receive(publisher);
    feed.put('services', { id: 's1', enabled: false });
    await publisher.flush();
    const without = await receive(publisher);
    expect([ids(without.get('services')), ids(without.get('routes')), ids(without.get('plugins'))]).toEqual([
      ['s2'],
      [route(2).id],
      ['p3'],
    ]);
    expect(publisher.current().manifest.plugins).toEqual({ jwt: '3.9.3' });
    feed.put('services', { id: 's1', enabled: true });
    await publisher.flush();
    expect(await receive(publisher)).toEqual(before);
  });

  test('comes to the same config step by step as from scratch, whatever was written', async () => {
    const service = fc.constantFrom('s1', 's2', 's3');
    const small = fc.integer({ min: 1, max: 6 });
    const operation = fc.oneof(
      fc.record({ entity: fc.constant('services'), row: fc.record({ id: service, enabled: fc.boolean() }) }),
      fc.record({
        entity: fc.constant('routes'),
        row: fc.tuple(small, fc.option(service)).map(([n, s]) => route(n, s)),
      }),
      fc.record({
        entity: fc.constant('plugins'),
        row: fc.record({
          id: small.map((n) => `p${n}`),
          name: fc.constantFrom('cors', 'acl'),
          enabled: fc.boolean(),
          service: fc.option(service.map((id) => ({ id }))),
          route: fc.option(small.map((n) => ({ id: route(n).id }))),
        }),
      }),
      fc.record({
        entity: fc.constant('keyauth_credentials'),
        row: fc.record({ id: small.map((n) => `k${n}`), key: small.map(String) }),
      }),
    );
    const step = fc.record({ operation, remove: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 8 }), async (rounds) => {
        const feed = new MemoryFeed();
        const { publisher } = await start(feed, { acceptLoss: true });
        for (const steps of rounds) {
          feed.write(
            ...steps.map(({ operation: { entity, row }, remove }) =>
              remove ? (['delete', entity, row.id] as const) : (['put', entity, row] as const),
            ),
          );
          await publisher.flush();
        }
        const { publisher: fresh } = await start(feed);
        expect(await receive(publisher)).toEqual(await receive(fresh));
        expect(publisher.current().manifest.plugins).toEqual(fresh.current().manifest.plugins);
        expect(publisher.current().manifest.config_hash).toBe(fresh.current().manifest.config_hash);
        expect(feed.loads).toBe(2);
      }),
      { numRuns: 60 },
    );
  });

  test('makes the same objects of the same rows, however they came', async () => {
    // Large rows, of which every other has the same lookup value: they cannot be parted, and make the tree deep.
    const row = (n: number, kilobytes: number) => ({
      id: `k${String(n).padStart(3, '0')}`,
      key: n % 2 === 0 ? 'hot' : `key ${n}`,
      filler: 'x'.repeat(kilobytes << 10),
    });
    const step = fc.record({
      put: fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 60 })), { maxLength: 25 }),
      remove: fc.array(fc.nat(60), { maxLength: 30 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 5 }), async (steps) => {
        const feed = new MemoryFeed();
        const { publisher } = await start(feed, { acceptLoss: true });
        for (const { put, remove } of steps) {
          feed.write(
            ...put.map(([n, kilobytes]) => ['put', 'keyauth_credentials', row(n, kilobytes)] as const),
            ...remove.map((n) => ['delete', 'keyauth_credentials', row(n, 0).id] as const),
          );
          await publisher.flush();
        }
        const { publisher: fresh } = await start(feed);
        expect(publisher.current().manifest.tables).toEqual(fresh.current().manifest.tables);
        expect(await receive(publisher)).toEqual(await receive(fresh));
      }),
      { numRuns: 25 },
    );
  });

  test('spreads a growing table over more objects without losing a row', async () => {
    const feed = new MemoryFeed();
    feed.put('consumers', { id: 'c', username: 'first' });
    const { publisher } = await start(feed);
    const names = Array.from({ length: 4000 }, (_, n) => createHash('sha256').update(String(n)).digest('hex'));
    feed.put('consumers', ...names.map((name) => ({ id: name, username: name, custom_id: name.repeat(2) })));
    await publisher.flush();
    expect((await receive(publisher)).get('consumers')).toHaveLength(4001);
    expect([...publisher.missing(publisher.current().manifest, null)].length).toBeGreaterThan(8);
  });
});
