import { decodeProtectedHeader } from 'jose';
import { describe, expect, test } from 'vitest';
import type { Publisher } from '../../../cp/publisher/publisher.ts';
import type { BundleRow, Manifest } from '../../../shared/bundle/format.ts';
import { generateSigningKey } from '../../../shared/bundle/signing.ts';
import { MemoryFeed } from './memory-feed.ts';
import { objectOfRoute, route, rowsIn, start } from './publishing.ts';

const group = (name: string, rest: Record<string, unknown>): BundleRow => ({
  id: `group-${name}`,
  name,
  labels: null,
  certified: false,
  select_tags: null,
  priority: 0,
  ...rest,
});

const service = (name: string, ...tags: string[]): BundleRow => ({
  id: `service-${name}`,
  name,
  host: `${name}.test`,
  tags,
});
const tagged = (id: number, of: string, ...tags: string[]): BundleRow => ({ ...route(id, `service-${of}`), tags });

/** Every object of a group's manifest. */
const objectsOf = (publisher: Publisher, manifest: Manifest): ReadonlySet<string> =>
  new Set(publisher.missing(manifest, null));

function released(publisher: Publisher, name: string): Manifest {
  const release = publisher.release(name);
  if (release === null) throw new Error(`nothing is published to ${name}: ${publisher.trouble(name)}`);
  return release.manifest;
}

const without = (some: ReadonlySet<string>, others: ReadonlySet<string>): string[] =>
  [...some].filter((name) => !others.has(name));

describe('groups', () => {
  test('cost what their objects differ by, and a change that they share an index each and nothing twice', async () => {
    const feed = new MemoryFeed();
    feed.put('services', service('a', 'eu', 'all'));
    // Enough for several objects.
    feed.put(
      'routes',
      ...Array.from({ length: 4_000 }, (_, n) => tagged(n, 'a', ...(n === 0 ? ['all'] : ['eu', 'all']))),
    );
    feed.put('groups', group('same', { labels: 'tier = same' }), group('eu', { select_tags: 'eu' }));
    const { publisher } = await start(feed);
    const of = (name: string) => objectsOf(publisher, released(publisher, name));
    const whole = of('default');
    expect(whole.size).toBeGreaterThan(10);
    expect(of('same')).toEqual(whole);
    // The index of routes, and the object that the one route is missing from.
    expect(without(of('eu'), whole)).toHaveLength(2);
    expect(released(publisher, 'eu').tables.routes?.rows).toBe(3_999);

    const apart = released(publisher, 'eu');
    const before = { default: whole, eu: of('eu') };
    const torn = await objectOfRoute(publisher, apart, route(0).id);
    const others = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => ({ n, of: await objectOfRoute(publisher, apart, route(n).id) })),
    );
    const shared = others.find(({ of }) => of !== torn);
    if (shared === undefined) throw new Error('all routes are in the object that differs');
    feed.put('routes', { ...tagged(shared.n, 'a', 'eu', 'all'), preserve_host: true });
    await publisher.flush();
    const made = new Set([...without(of('default'), before.default), ...without(of('eu'), before.eu)]);
    // An object with the route, which both have, and an index for each; the third group has the first one's.
    expect(made.size).toBe(3);
    expect(of('same')).toEqual(of('default'));
    expect([...publisher.missing(released(publisher, 'eu'), apart)]).toHaveLength(2);
  });

  test('follow row by row as if they were made anew', async () => {
    const feed = new MemoryFeed();
    feed.put('groups', group('eu', { select_tags: 'eu/shared' }));
    const { publisher } = await start(feed);
    const writes: (() => void)[] = [
      () => feed.put('services', service('a', 'eu'), service('b', 'us'), service('c', 'shared')),
      () => feed.put('routes', tagged(1, 'a', 'eu'), tagged(2, 'b', 'us'), tagged(3, 'c', 'shared')),
      () => feed.put('consumers', { id: 'c1', username: 'x', tags: ['eu'] }, { id: 'c2', username: 'y', tags: null }),
      () => feed.put('keyauth_credentials', { id: 'k1', key: 'one', consumer: { id: 'c1' }, tags: ['eu'] }),
      () => feed.put('routes', tagged(2, 'a', 'shared')),
      () => feed.put('routes', tagged(1, 'a', 'us')),
      () => feed.put('services', { ...service('c', 'shared'), enabled: false }),
      () => feed.write(['delete', 'routes', route(2).id]),
      () => feed.put('services', service('c', 'shared')),
      () => feed.put('groups', group('eu', { select_tags: 'us' })),
      () => feed.put('groups', group('eu', { select_tags: 'eu,shared' }), group('other', { select_tags: 'eu' })),
    ];
    for (const write of writes) {
      write();
      await publisher.flush();
      const fresh = await start(feed);
      for (const name of publisher.groups()) {
        const reasonOf = (one: Publisher) => one.trouble(name)?.replace(/, data planes .*?:/, '') ?? null;
        expect(reasonOf(publisher)).toBe(reasonOf(fresh.publisher));
        if (reasonOf(publisher) !== null) continue;
        expect(released(publisher, name).tables).toEqual(released(fresh.publisher, name).tables);
      }
    }
    expect(await rowsIn(publisher, released(publisher, 'other'))).toMatchObject({
      services: ['service-a'],
      consumers: ['c1'],
    });
  });

  test('keep their last config while what they select refers to what they do not, and say what', async () => {
    const feed = new MemoryFeed();
    feed.put('groups', group('eu', { select_tags: 'eu' }));
    feed.put('services', service('a', 'eu'), service('b'));
    feed.put('routes', tagged(1, 'a', 'eu'));
    const { publisher, lines } = await start(feed, { retention: { age: 0, bytes: 0 } });
    const before = released(publisher, 'eu');
    feed.put('routes', tagged(2, 'b', 'eu'));
    await publisher.flush();
    expect(released(publisher, 'default').serial).toBe(4);
    expect(released(publisher, 'eu')).toEqual(before);
    const reason = 'routes route-000002 (name-2) refers to services service-b, which the group does not select';
    expect(publisher.trouble('eu')).toContain(reason);
    expect(publisher.trouble('default')).toBeNull();
    expect(lines.filter((line) => line.startsWith('error'))).toEqual([expect.stringContaining(reason)]);
    // Its objects are there for data planes that come, whatever is published to the others.
    feed.put('routes', tagged(1, 'a', 'eu', 'changed'));
    await publisher.flush();
    expect(await rowsIn(publisher, before)).toMatchObject({ routes: [route(1).id] });
    feed.put('services', service('b', 'eu'));
    await publisher.flush();
    expect(publisher.trouble('eu')).toBeNull();
    expect(await rowsIn(publisher, released(publisher, 'eu'))).toMatchObject({ routes: [route(1).id, route(2).id] });
  });

  test('that keep their config have it signed with a new key, also when something was written in the same moment', async () => {
    const feed = new MemoryFeed();
    feed.put('groups', group('eu', { select_tags: 'eu' }));
    feed.put('services', service('a', 'eu'), service('b'));
    feed.put('plugins', { id: 'p', name: 'cors' });
    let onRound = () => {};
    const pluginVersion = () => {
      onRound();
      return '1';
    };
    const { publisher } = await start(feed, { pluginVersion });
    const before = released(publisher, 'eu');
    feed.put('routes', tagged(1, 'b', 'eu'));
    await publisher.flush();
    const keyOf = (name: string) => decodeProtectedHeader(publisher.release(name)?.jws ?? '').kid;
    const { key: next } = await generateSigningKey(before.cluster);
    feed.put('services', service('c'));
    await publisher.renew({ signing: next, introduced: [] });
    expect(publisher.trouble('eu')).not.toBeNull();
    for (const name of ['default', 'eu']) expect(keyOf(name), name).toBe(next.publicKey.kid);
    expect(released(publisher, 'eu')).toMatchObject({ serial: before.serial, keys: [next.publicKey] });

    // In the midst of the round that publishes it.
    const { key: last } = await generateSigningKey(before.cluster);
    let renewed: Promise<void> | null = null;
    onRound = () => {
      renewed ??= publisher.renew({ signing: last, introduced: [] });
    };
    feed.put('services', service('d'));
    await publisher.flush();
    await renewed;
    for (const name of ['default', 'eu']) expect(keyOf(name), name).toBe(last.publicKey.kid);
  });

  test('know an upstream by its workspace and name, and look again at services when one comes by the name of their host', async () => {
    const eager = { bundle: { mode: 'eager' }, ttl: false } as const;
    const tables = ['services', 'upstreams'].map((name) => ({ name, ...eager }));
    const feed = new MemoryFeed();
    feed.put('groups', group('eu', { select_tags: 'eu' }));
    feed.put('services', { ...service('a', 'eu'), host: 'backend', ws_id: 'one' });
    const upstream = (workspace: string, name: string, ...tags: string[]): BundleRow => ({
      id: `upstream-${workspace}`,
      name,
      tags,
      ws_id: workspace,
    });
    const { publisher } = await start(feed, { tables });
    /** Why nothing is published to the group, as one that follows and one that starts see it. */
    const after = async (...rows: BundleRow[]): Promise<string | null> => {
      feed.put('upstreams', ...rows);
      await publisher.flush();
      const fresh = await start(feed, { tables });
      const [reason, again] = [publisher, fresh.publisher].map((one) => one.trouble('eu'));
      expect(again?.includes('refers to upstreams') ?? false).toBe(reason?.includes('refers to upstreams') ?? false);
      return reason ?? null;
    };
    expect(await after(upstream('two', 'backend'))).toBeNull();
    expect(await after(upstream('one', 'other'))).toBeNull();
    const refused = "services service-a (a) refers to upstreams 'backend', which the group does not select";
    expect(await after(upstream('one', 'backend'))).toContain(refused);
    expect(await after(upstream('two', 'backend', 'eu'))).toContain(refused);
    expect(await after(upstream('one', 'backend', 'eu'))).toBeNull();
  });

  test('are chosen by labels: the first that fits in the order of priority and name, else default', async () => {
    const feed = new MemoryFeed();
    feed.put(
      'groups',
      group('b', { labels: 'region in (eu, us), tier = edge' }),
      group('a', { labels: 'region = eu, !canary' }),
      group('canaries', { labels: 'canary', priority: 1 }),
      group('nobody', {}),
      group('sealed', { labels: 'secret = yes', certified: true, priority: 2 }),
    );
    const { publisher } = await start(feed);
    const of = (all: Record<string, string>, certified = {}) => publisher.groupOf({ all, certified });
    expect(publisher.groups()).toEqual(['sealed', 'canaries', 'a', 'b', 'nobody', 'default']);
    expect(of({ region: 'eu', tier: 'edge' })).toBe('a');
    expect(of({ region: 'us', tier: 'edge' })).toBe('b');
    expect(of({ region: 'eu', canary: 'x' })).toBe('canaries');
    expect(of({ region: 'us' })).toBe('default');
    // Anybody can say so.
    expect(of({ secret: 'yes' })).toBe('default');
    expect(of({ secret: 'yes' }, { secret: 'yes' })).toBe('sealed');
  });
});
