import { afterEach, expect, test, vi } from 'vitest';

import { type Author, writingAs } from '../../../cp/store/author.ts';
import { catalogOf } from '../../../cp/store/catalog.ts';
import { pruneChanges } from '../../../cp/store/change-feed.ts';
import type { Database } from '../../../cp/store/database.ts';
import { purgeExpired } from '../../../cp/store/housekeeping.ts';
import { openDatabase, openStore, type StoreSettings } from '../../../cp/store/open.ts';
import { schemas } from '../../../cp/store/schemas.ts';
import type { Store, Workspace } from '../../../cp/store/store.ts';
import { onBothDrivers, refusal } from './drivers.ts';
import { workspaceOf } from './workspace-of.ts';

onBothDrivers('change feed', (backend) => {
  const open: Store[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((store) => store.close()));
  });

  async function freshStore(): Promise<{ settings: StoreSettings; store: Store; here: Workspace }> {
    const settings = await backend.fresh();
    const store = await openStore(settings, { migrate: true });
    open.push(store);
    return { settings, store, here: await workspaceOf(store) };
  }

  /** Works on the database itself while no store has it open. */
  async function offline(
    settings: StoreSettings,
    store: Store,
    work: (database: Database) => Promise<void>,
  ): Promise<void> {
    await store.close();
    open.splice(open.indexOf(store), 1);
    const database = await openDatabase(settings);
    await work(database);
    await database.close();
  }
  async function reopened(settings: StoreSettings): Promise<Store> {
    const store = await openStore(settings);
    open.push(store);
    return store;
  }

  test('numbers commits without gaps in their order, whoever writes at the same time', async () => {
    const { store, here } = await freshStore();
    expect(await store.changes.serial()).toBe(0);
    const writers = Array.from({ length: 20 }, async (_, writer) => {
      for (let count = 0; count < 5; count++) {
        const username = `w${writer}-${count}`;
        await here.entity('consumers').insert({ username });
        // A refused write takes no number.
        if (count % 3 === 0) await refusal(here.entity('consumers').insert({ username }));
      }
    });
    await Promise.all(writers);
    const delta = await store.changes.delta(0);
    expect(delta?.serial).toBe(100);
    expect(delta?.changes.map(({ serial }) => serial)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    const rows = new Map(delta?.rows.get('consumers')?.map((row) => [row.id, String(row.username)]));
    for (let writer = 0; writer < 20; writer++) {
      const own = delta?.changes.map(({ id }) => rows.get(id)).filter((name) => name?.startsWith(`w${writer}-`));
      expect(own).toEqual(Array.from({ length: 5 }, (_, count) => `w${writer}-${count}`));
    }
  });

  test('writes down with each commit who made it, and nobody for what nobody said', async () => {
    const { store, here } = await freshStore();
    const by = (user: string): Author => ({ via: 'admin_api', user, address: '::1', client: 'o\'curl \\ "7"' });
    const as = <T>(user: string, work: () => Promise<T>): Promise<T> => writingAs(by(user), work);
    const services = here.entity('services');
    await as('one statement', () => services.insert({ name: 's', host: 'a' }));
    await as('a locked row', () => services.update({ field: 'name', value: 's' }, { host: 'b' }));
    await services.upsert({ field: 'name', value: 's' }, { host: 'c' });
    await as('put', () => services.upsert({ field: 'name', value: 's' }, { host: 'd' }));
    await here.entity('plugins').insert({ name: 'key-auth', service: { name: 's' } });
    await as('several', () =>
      here.transaction(async (inside) => {
        await refusal(inside.entity('consumers').insert({}));
        await inside.entity('consumers').insertMany([{ username: 'u' }, { username: 'v' }]);
      }),
    );
    await refusal(as('refused', () => services.insert({ name: 's', host: 'a' })));
    // Two at a time, and one that waits for its turn on the one connection there may be.
    await Promise.all(['x', 'y', 'z'].map((name) => as(name, () => services.insert({ name, host: name }))));
    await as('delete', () => services.delete({ field: 'name', value: 's' }));
    await as('many', async () => services.deleteMany((await services.page()).rows.map(({ id }) => String(id))));
    const { commits } = await store.log.page({});
    const told = commits.map(({ by: author }) => author?.user ?? null).reverse();
    expect(told.slice(6, 9).toSorted()).toEqual(['x', 'y', 'z']);
    const [before, after] = [told.slice(0, 6), told.slice(9)];
    expect([before, after]).toEqual([
      ['one statement', 'a locked row', null, 'put', null, 'several'],
      ['delete', 'many'],
    ]);
    expect(commits[0]?.by).toEqual(by('many'));
    expect(commits[1]).toMatchObject({ total: 2, by: by('delete') });
    expect((await store.log.after(0))?.commits[0]?.by).toEqual(by('one statement'));
  });

  test('logs cascades and everything else a transaction did under one serial', async () => {
    const { store, here } = await freshStore();
    const { id: service } = await here.entity('services').insert({ name: 's', host: 'a' });
    const { id: plugin } = await here.entity('plugins').insert({ name: 'key-auth', service: { name: 's' } });
    const consumer = await here.entity('consumers').insert({ username: 'u' });
    await here
      .entity('keyauth_credentials')
      .insertMany([1, 2, 3].map((n) => ({ key: `k${n}`, consumer: { username: 'u' } })));
    const before = await store.changes.serial();
    await here.transaction(async (inside) => {
      await inside.entity('services').delete({ field: 'name', value: 's' });
      await inside.entity('consumers').delete({ field: 'username', value: 'u' });
      await inside.entity('services').insert({ id: service, name: 's', host: 'b' });
    });
    const delta = await store.changes.delta(before);
    expect(delta?.serial).toBe(before + 1);
    expect(new Set(delta?.changes.map(({ serial }) => serial))).toEqual(new Set([before + 1]));
    const told = delta?.changes.map(({ entity, operation, id }) => [operation, entity, id]);
    expect(told).toContainEqual(['delete', 'plugins', plugin]);
    expect(told).toContainEqual(['delete', 'consumers', consumer.id]);
    expect(
      told?.filter(([operation, entity]) => operation === 'delete' && entity === 'keyauth_credentials'),
    ).toHaveLength(3);
    expect(told?.filter(([, , id]) => id === service)).toEqual([
      ['delete', 'services', service],
      ['create', 'services', service],
    ]);
    expect(delta?.rows.get('services')).toMatchObject([{ id: service, host: 'b' }]);
    expect(delta?.rows.get('keyauth_credentials')).toEqual([]);
  });

  test('logs the purge of rows that have run out, and carries the end of a row as a time', async () => {
    const { settings, store, here } = await freshStore();
    await here.entity('consumers').insert({ username: 'u' });
    const keys = here.entity('keyauth_credentials');
    const now = Date.now() / 1000;
    const long = await keys.insert({ key: 'long', consumer: { username: 'u' } }, { ttl: 500 });
    const short = await keys.insert({ key: 'short', consumer: { username: 'u' } }, { ttl: 1 });
    const delta = await store.changes.delta(1);
    const ttl = Number(delta?.rows.get('keyauth_credentials')?.find(({ id }) => id === long.id)?.ttl);
    expect(Math.abs(ttl - now - 500)).toBeLessThan(60);
    await expect.poll(() => keys.select({ id: String(short.id) })).toBeNull();

    await offline(settings, store, (database) => purgeExpired(database, catalogOf(schemas)));
    const purged = await reopened(settings).then((again) => again.changes.delta(3));
    expect(purged?.changes).toEqual([{ serial: 4, entity: 'keyauth_credentials', id: short.id, operation: 'delete' }]);
  });

  test('reads a whole configuration as of one serial while others write', async () => {
    const { store, here } = await freshStore();
    const rows = Array.from({ length: 2500 }, (_, index) => ({ username: `u${index}` }));
    await here.entity('consumers').insertMany(rows);
    const snapshot = await store.changes.snapshot(['services', 'consumers']);
    await here.entity('consumers').insert({ username: 'later' });
    const seen: unknown[] = [];
    for await (const { entity, row } of snapshot.rows) seen.push(`${entity} ${row.username}`);
    expect(snapshot.serial).toBe(1);
    expect(new Set(seen)).toEqual(new Set(rows.map(({ username }) => `consumers ${username}`)));
    const abandoned = await store.changes.snapshot(['consumers']);
    for await (const _ of abandoned.rows) break;
    expect(await store.changes.serial()).toBe(2);
  });

  test('tells the workspace of a row to the publisher, and to nobody else', async () => {
    const { store, here } = await freshStore();
    await here.entity('workspaces').insert({ name: 'shop' });
    const there = await workspaceOf(store, 'shop');
    for (const workspace of [here, there]) {
      const row = await workspace.entity('consumers').insert({ username: 'alice' });
      expect(row).not.toHaveProperty('ws_id');
    }
    const owners = [here.id, there.id].sort();
    const delta = await store.changes.delta(0);
    expect(
      delta?.rows
        .get('consumers')
        ?.map((row) => String(row.ws_id))
        .sort(),
    ).toEqual(owners);
    const seen: string[] = [];
    for await (const { row } of (await store.changes.snapshot(['consumers'])).rows) seen.push(String(row.ws_id));
    expect(seen.sort()).toEqual(owners);
  });

  test('calls back after a commit and moves past the serial of a restored database', async () => {
    const { store, here } = await freshStore();
    // Without the look at the serial every few seconds, which would make up for a notification that is lost.
    const interval = vi.spyOn(globalThis, 'setInterval').mockImplementation(() => setTimeout(() => {}, 0));
    let calls = 0;
    const unsubscribe = store.changes.subscribe(() => {
      calls += 1;
    });
    interval.mockRestore();
    await expect.poll(() => calls, { message: 'a call once it listens' }).toBeGreaterThan(0);
    for (let write = 0; write < 3; write++) {
      const before = calls;
      await here.entity('consumers').insert({ username: `write ${write}` });
      await expect.poll(() => calls, { message: 'a call for each write' }).toBeGreaterThan(before);
    }
    const own = await store.changes.serial();
    await store.changes.advanceTo(5000);
    expect(await store.changes.serial()).toBe(5001);
    expect((await store.changes.delta(own))?.changes).toEqual([]);
    await store.changes.advanceTo(100);
    expect(await store.changes.serial()).toBeGreaterThan(5001);
    expect(await store.changes.delta(1_000_000)).toBeNull();
    unsubscribe();
  });

  test('says so when the log no longer reaches back', async () => {
    const { settings, store, here } = await freshStore();
    const commits: (string | null | undefined)[] = [null];
    for (let count = 0; count < 10; count++) {
      await here.entity('consumers').insert({ username: `u${count}` });
      commits.push((await store.changes.delta(count))?.commit);
    }
    await offline(settings, store, (database) => pruneChanges(database, 4));
    const again = await reopened(settings);
    expect(await again.changes.delta(5)).toBeNull();
    expect((await again.changes.delta(6))?.changes).toHaveLength(4);
    // Whoever is exactly at the floor still knows the database by the commit there, and need not read everything anew.
    expect((await again.changes.delta(6, commits[6]))?.changes).toHaveLength(4);
    expect(await again.changes.delta(6, 'of another database')).toBeNull();
    expect(await again.changes.serial()).toBe(10);
  });
});
