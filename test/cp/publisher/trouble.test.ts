import { describe, expect, test } from 'vitest';
import { MemoryFeed } from './memory-feed.ts';
import { ids, receive, route, start } from './publishing.ts';

describe('a publisher in trouble', () => {
  test('takes an import that is larger than any one object may be', async () => {
    const feed = new MemoryFeed();
    feed.put('routes', route(0, 's1'));
    const { publisher, lines } = await start(feed);
    const note = 'x'.repeat(4_000);
    feed.put('routes', ...Array.from({ length: 1_500 }, (_, n) => ({ ...route(n + 1, 's1'), note })));
    await publisher.flush();
    expect(lines.filter((line) => line.startsWith('error'))).toEqual([]);
    expect((await receive(publisher)).get('routes')).toHaveLength(1_501);
  });

  test('keeps the last release while the database fails, says so once, and goes on when it is back', async () => {
    const feed = new MemoryFeed();
    feed.put('routes', route(1));
    const { publisher, lines } = await start(feed, { retry: 5 });
    const before = publisher.current();
    feed.failure = new Error('connection terminated');
    feed.put('routes', route(2));
    await publisher.flush();
    await publisher.flush();
    expect(publisher.current()).toBe(before);
    expect(lines.filter((line) => line.includes('connection terminated'))).toHaveLength(1);
    const released = new Promise((resolve) => publisher.subscribe(resolve));
    feed.failure = null;
    await released;
    expect(ids((await receive(publisher)).get('routes'))).toEqual([route(1).id, route(2).id]);
  });

  test('tells everybody of what is published, also behind one that fails on it', async () => {
    const feed = new MemoryFeed();
    feed.put('routes', route(1));
    const { publisher, lines } = await start(feed);
    await publisher.flush();
    const told: string[] = [];
    publisher.subscribe(() => {
      throw new Error('no hands free');
    });
    publisher.subscribe(({ manifest }) => told.push(`release ${manifest.serial}`));
    publisher.onRound(() => {
      throw new Error('no time');
    });
    publisher.onRound(() => told.push('round'));
    feed.put('routes', route(2));
    await publisher.flush();
    expect(told).toEqual(['release 2', 'round']);
    expect(publisher.trouble()).toBeNull();
    expect(lines.filter((line) => /^error serial 2 is published.*no (hands free|time)$/.test(line))).toHaveLength(2);
  });

  test('refuses a config that lost its rows without deletes on record, unless told that the loss is meant', async () => {
    const feed = new MemoryFeed();
    feed.put('routes', ...Array.from({ length: 400 }, (_, n) => route(n)));
    const { publisher, lines } = await start(feed);
    const lenient = await start(feed, { acceptLoss: true });
    const before = publisher.current();
    feed.tables.clear();
    feed.put('routes', route(1));
    feed.oldest = feed.at;
    await publisher.flush();
    expect(publisher.current()).toBe(before);
    expect(lines.at(-1)).toMatch(/^error refusing to publish.*had 400 rows and now has 1.*publish_near_empty = on/);
    await lenient.publisher.flush();
    expect(ids((await receive(lenient.publisher)).get('routes'))).toEqual([route(1).id]);
  });

  test('publishes any number of deletes that stand in the log, down to nothing', async () => {
    const feed = new MemoryFeed();
    feed.put('routes', ...Array.from({ length: 400 }, (_, n) => route(n)));
    const { publisher } = await start(feed);
    feed.write(...Array.from({ length: 400 }, (_, n) => ['delete', 'routes', route(n).id] as const));
    await publisher.flush();
    expect(publisher.current().manifest).toMatchObject({ serial: 2, tables: { routes: { rows: 0 } } });
  });

  test('takes credentials that expired between their write and the publish for no loss', async () => {
    const feed = new MemoryFeed();
    feed.put('routes', ...Array.from({ length: 10 }, (_, n) => route(n)));
    const { publisher, lines } = await start(feed);
    const keys = Array.from({ length: 400 }, (_, n) => ({ id: `key-${n}`, key: `key-${n}`, ttl: 1 }));
    feed.put('keyauth_credentials', ...keys);
    feed.tables.get('keyauth_credentials')?.clear();
    await publisher.flush();
    expect(lines.filter((line) => line.startsWith('error'))).toEqual([]);
    expect(publisher.current().manifest.serial).toBe(2);
  });

  test('counts deletes on record also when it must read everything anew after a publish that failed half-way', async () => {
    const feed = new MemoryFeed();
    feed.put('routes', ...Array.from({ length: 400 }, (_, n) => route(n)));
    const { publisher, lines } = await start(feed);
    // No JSON can say this name: what was packed is half changed, and the next round loads the whole config.
    feed.put('routes', { ...route(400), name: '\ud800' });
    await publisher.flush();
    expect(lines.filter((line) => line.includes('lone surrogate'))).toHaveLength(1);
    feed.write(
      ['put', 'routes', route(400)],
      ...Array.from({ length: 300 }, (_, n) => ['delete', 'routes', route(n).id] as const),
    );
    await publisher.flush();
    expect(publisher.current().manifest).toMatchObject({ tables: { routes: { rows: 101 } } });
  });

  test('refuses a plugin it does not know, by name, and publishes when it is gone', async () => {
    const feed = new MemoryFeed();
    const { publisher, lines } = await start(feed);
    feed.put('plugins', { id: 'p1', name: 'unheard-of', enabled: true });
    await publisher.flush();
    expect(publisher.current().manifest.serial).toBe(0);
    expect(lines.at(-1)).toContain("plugin 'unheard-of' is configured, but this control plane does not know it");
    feed.write(['delete', 'plugins', 'p1']);
    await publisher.flush();
    expect(publisher.current().manifest).toMatchObject({ serial: 2, plugins: {} });
  });

  test('moves past the serial a data plane holds after an older database was restored', async () => {
    const feed = new MemoryFeed();
    feed.put('routes', route(1), route(2));
    const { publisher: earlier } = await start(feed);
    for (let n = 0; n < 10; n++) feed.put('routes', { ...route(1), name: `v${n}` });
    await earlier.flush();
    const held = earlier.current().manifest;
    const restored = new MemoryFeed();
    restored.put('routes', route(1), route(2));
    const { publisher, lines } = await start(restored);
    expect(await publisher.catchUp(held)).toBeNull();
    expect(publisher.current().manifest.serial).toBeGreaterThan(held.serial);
    expect(lines.at(-1)).toContain('a data plane holds serial 11, which this database never reached');
  });

  test('does not overrule a data plane that holds a config with an empty database', async () => {
    const feed = new MemoryFeed();
    for (let n = 0; n < 5; n++) feed.put('routes', route(n));
    const { publisher: earlier } = await start(feed);
    const { publisher } = await start(new MemoryFeed());
    expect(await publisher.catchUp(earlier.current().manifest)).toContain('had 5 rows and now has 0');
    expect(publisher.current().manifest.serial).toBe(0);
  });

  test('never lets its serial go back when the database under it does', async () => {
    const feed = new MemoryFeed();
    for (let n = 0; n < 9; n++) feed.put('routes', route(n));
    const { publisher } = await start(feed);
    feed.at = 8;
    feed.log = feed.log.filter((change) => change.serial <= 8);
    feed.tables.get('routes')?.delete(route(8).id);
    await publisher.flush();
    expect(publisher.current().manifest.serial).toBeGreaterThan(9);
    expect((await receive(publisher)).get('routes')).toHaveLength(8);
  });
});
