import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore } from '../../../cp/store/open.ts';
import type { Store, TagQuery, Workspace } from '../../../cp/store/store.ts';
import type { Row } from '../../../shared/record.ts';
import { onBothDrivers, refusal } from './drivers.ts';
import { refusalBody, workspaceOf } from './workspace-of.ts';

const NOWHERE = '11111111-2222-4333-8444-555555555555';

onBothDrivers('entity store', (backend) => {
  let store: Store;
  let here: Workspace;

  beforeAll(async () => {
    store = await openStore(await backend.fresh(), { migrate: true });
    here = await workspaceOf(store);
  });
  afterAll(() => store.close());

  async function newWorkspace(name: string): Promise<Workspace> {
    await here.entity('workspaces').insert({ name });
    return workspaceOf(store, name);
  }
  test('completes a row by its schema, keeps it, and gives it back in full', async () => {
    const services = here.entity('services');
    const written = await services.insert({ name: 'full', url: 'https://example.com/x', tags: ['b', 'a'] });
    expect(written).toMatchObject({ protocol: 'https', port: 443, path: '/x', retries: 5, tags: ['b', 'a'] });
    expect(written).toMatchObject({ client_certificate: null, ca_certificates: null });
    expect(await services.select({ id: String(written.id) })).toEqual(written);
    expect(await services.select({ field: 'name', value: 'full' })).toEqual(written);
    expect(await services.select({ id: NOWHERE })).toBeNull();
    expect(await services.select({ field: 'name', value: 'nul\0byte' })).toBeNull();
  });

  test('refuses by name a text that is too long to be found by', async () => {
    // Random, so that it does not compress to something an index takes.
    const name = randomBytes(20_000).toString('hex');
    expect(await refusalBody(here.entity('services').insert({ name, host: 'a' }))).toMatchObject({
      code: 2,
      fields: { name: expect.stringContaining('too long') },
    });
    const tags = ['short', randomBytes(20_000).toString('hex'), 'other'];
    expect(await refusalBody(here.entity('services').insert({ host: 'a', tags }))).toMatchObject({
      code: 2,
      fields: { tags: [null, expect.stringContaining('too long')] },
    });
  });

  test('keeps nested values of every kind as they were given', async () => {
    const routes = here.entity('routes');
    const given = {
      name: 'kinds-\u{1F41A}',
      paths: ['/with "quotes"', "/and 'these'", '/{}', '~/re\\d+,x', '/ü'],
      headers: { zeta: ['1'], a: ['two', '{3}'] },
      sources: null,
      preserve_host: true,
      regex_priority: -7,
      protocols: ['https', 'http'],
    };
    const written = await routes.insert(given);
    expect(await routes.select({ id: String(written.id) })).toMatchObject(given);
    expect(JSON.stringify(written.headers)).toBe('{"zeta":["1"],"a":["two","{3}"]}');
  });

  test('refuses what PostgreSQL cannot hold as a schema violation, not as a failure', async () => {
    const violation = await refusalBody(here.entity('key_sets').insert({ name: 'a\0b' }));
    expect(violation).toMatchObject({ code: 2, fields: { name: expect.stringContaining('null characters') } });
    const config = { name: 'request-termination', config: { message: '\ud800' } };
    expect(await refusalBody(here.entity('plugins').insert(config))).toMatchObject({ code: 2 });
  });

  test('reports a taken name, a taken composite key and a taken id as Kong does', async () => {
    const services = here.entity('services');
    const first = await services.insert({ name: 'taken', host: 'a' });
    expect(await refusalBody(services.insert({ name: 'taken', host: 'b' }))).toEqual({
      code: 5,
      name: 'unique constraint violation',
      message: `UNIQUE violation detected on '{name="taken"}'`,
      fields: { name: 'taken' },
    });
    expect(await refusalBody(services.insert({ id: first.id, host: 'b' }))).toMatchObject({
      code: 3,
      message: `primary key violation on key '{id="${first.id}"}'`,
    });
    await here.entity('plugins').insert({ name: 'key-auth', service: { name: 'taken' } });
    expect(
      await refusalBody(here.entity('plugins').insert({ name: 'key-auth', service: { name: 'taken' } })),
    ).toMatchObject({
      code: 5,
      fields: { name: 'key-auth', service: { id: first.id }, route: null, consumer: null },
    });
  });

  test('resolves references by name and names those that lead nowhere', async () => {
    const routes = here.entity('routes');
    const service = await here.entity('services').insert({ name: 'parent', host: 'a' });
    const route = await routes.insert({ paths: ['/a'], service: { name: 'parent' } });
    expect(route.service).toEqual({ id: service.id });
    expect(await refusalBody(routes.insert({ paths: ['/a'], service: { name: 'nope' } }))).toMatchObject({
      code: 13,
      message: `foreign key unresolved (service.name: the foreign key cannot be resolved with '{name="nope"}' for an existing 'services' entity)`,
    });
    expect(await refusalBody(routes.insert({ paths: ['/a'], service: { id: NOWHERE } }))).toMatchObject({
      code: 4,
      message: `the foreign key '{id="${NOWHERE}"}' does not reference an existing 'services' entity.`,
      fields: { service: { id: NOWHERE } },
    });
    expect(await refusalBody(here.entity('services').delete({ id: String(service.id) }))).toMatchObject({
      code: 4,
      message: `an existing 'routes' entity references this 'services' entity`,
      fields: { '@referenced_by': 'routes' },
    });
  });

  test('PUT replaces, creates, and keeps the id of a row found by name', async () => {
    const services = here.entity('services');
    const first = await services.upsert({ field: 'name', value: 'put' }, { host: 'a', retries: 9 });
    const second = await services.upsert({ field: 'name', value: 'put' }, { host: 'b' });
    expect(second).toMatchObject({ id: first.id, host: 'b', retries: 5 });
    const third = await services.upsert({ id: NOWHERE }, { id: first.id, name: 'put-by-id', host: 'c' });
    expect(third).toMatchObject({ id: NOWHERE, name: 'put-by-id' });
    expect(await refusalBody(services.upsert({ id: NOWHERE }, { name: 'put', host: 'c' }))).toMatchObject({ code: 5 });
  });

  test('PATCH merges, and loses no change of two at once', async () => {
    const services = here.entity('services');
    const { id } = await services.insert({ name: 'patch', host: 'a', tags: ['t'] });
    const changes = ['retries', 'connect_timeout', 'read_timeout', 'write_timeout', 'port'];
    await Promise.all(changes.map((field, index) => services.update({ id: String(id) }, { [field]: 100 + index })));
    const row = await services.select({ field: 'name', value: 'patch' });
    expect(row).toMatchObject({ host: 'a', tags: ['t'], retries: 100, connect_timeout: 101, port: 104 });
    expect(row).toMatchObject({ read_timeout: 102, write_timeout: 103 });
    expect(await refusalBody(services.update({ field: 'name', value: 'gone' }, {}))).toMatchObject({
      code: 6,
      message: `could not find the entity with '{name="gone"}'`,
    });
    expect(await refusalBody(services.update({ id: 'no-uuid' }, {}))).toMatchObject({ code: 1 });
  });

  test('pages by key through everything, tags and parents included', async () => {
    const other = await newWorkspace('pages');
    const services = other.entity('services');
    const names = Array.from({ length: 25 }, (_, index) => `page-${index}`);
    await services.insertMany(
      names.map((name, index) => ({ name, host: 'h', tags: index % 2 ? ['odd', 'all'] : ['all'] })),
    );
    const seen: Row[] = [];
    let offset: string | undefined;
    do {
      const page = await services.page({ size: 10, ...(offset === undefined ? {} : { offset }) });
      seen.push(...page.rows);
      offset = page.offset;
    } while (offset !== undefined);
    expect(seen.map((row) => row.id)).toEqual(seen.map((row) => String(row.id)).sort());
    expect(new Set(seen.map((row) => row.name))).toEqual(new Set(names));
    expect((await services.page({ tags: { mode: 'all', tags: ['all', 'odd'] } })).rows).toHaveLength(12);
    const any = await services.page({ tags: { mode: 'any', tags: ['odd', 'x'] }, size: 12 });
    expect(any.rows).toHaveLength(12);
    expect(any.offset).toBeUndefined();

    const [service] = seen;
    await other.entity('routes').insert({ paths: ['/1'], service: { id: service?.id } });
    await other.entity('routes').insert({ paths: ['/2'] });
    const parent = { field: 'service', id: String(service?.id) };
    expect((await other.entity('routes').page({ parent })).rows).toMatchObject([{ paths: ['/1'] }]);

    expect(await refusalBody(services.page({ size: 0 }))).toMatchObject({ code: 9 });
    expect(await refusalBody(services.page({ size: 1001 }))).toMatchObject({ code: 9 });
    expect(await refusalBody(services.page({ offset: '???' }))).toEqual({
      code: 7,
      name: 'invalid offset',
      message: `'???' is not a valid offset: bad base64 encoding`,
    });
    expect(await refusalBody(services.page({ offset: 'YWJj' }))).toMatchObject({
      message: expect.stringMatching(/bad json/),
    });
    const large = Buffer.from(JSON.stringify(['9'.repeat(30)])).toString('base64');
    expect(await refusalBody(store.releases.page({ offset: large }))).toMatchObject({ code: 7 });
    expect(await refusalBody(store.log.page({ offset: large }))).toMatchObject({ code: 7 });
  });

  test('lists tags of all entities in pages', async () => {
    const other = await newWorkspace('tagged');
    for (const name of ['a', 'b', 'c'])
      await other.entity('services').insert({ name, host: 'h', tags: [name, 'shared'] });
    await other.entity('consumers').insert({ username: 'u', tags: ['shared'] });
    const first = await other.tags({ size: 5 });
    const second = await other.tags({ size: 5, offset: String(first.offset) });
    expect(first.tags).toHaveLength(5);
    expect(second.offset).toBeUndefined();
    const listed = [...first.tags, ...second.tags].map(({ entity_name, tag }) => `${entity_name} ${tag}`).sort();
    const expected = [
      'consumers shared',
      ...['a', 'b', 'c', 'shared', 'shared', 'shared'].map((tag) => `services ${tag}`),
    ];
    expect(listed).toEqual(expected);
    expect((await other.tags({ tag: 'shared' })).tags).toHaveLength(4);
  });

  test('lists tags of rows that carry more of them than a page has', async () => {
    const other = await newWorkspace('much-tagged');
    const own = Array.from({ length: 900 }, (_, n) => `own-${n}`);
    const rows = ['a', 'b'].map((name) => ({ name, host: 'h', tags: [...own, 'shared', name] }));
    await other.entity('services').insertMany(rows);
    await other.entity('consumers').insert({ username: 'u', tags: ['shared'] });
    const all = async (query: TagQuery) => {
      const tags: string[] = [];
      for (let page = await other.tags(query); ; page = await other.tags({ ...query, offset: page.offset })) {
        tags.push(...page.tags.map(({ entity_id, tag }) => `${entity_id} ${tag}`));
        if (page.offset === undefined) return new Set(tags);
      }
    };
    expect((await all({ size: 100 })).size).toBe(2 * 902 + 1);
    expect((await all({ size: 2, tag: 'shared' })).size).toBe(3);
  });

  test('keeps workspaces apart', async () => {
    const other = await newWorkspace('apart');
    const mine = await here.entity('services').insert({ name: 'same', host: 'a' });
    const theirs = await other.entity('services').insert({ name: 'same', host: 'b' });
    expect(await other.entity('services').select({ id: String(mine.id) })).toBeNull();
    expect(await other.entity('services').delete({ id: String(mine.id) })).toBe(false);
    expect(await refusalBody(other.entity('services').upsert({ id: String(mine.id) }, { host: 'c' }))).toMatchObject({
      code: 3,
    });
    expect(await refusalBody(other.entity('routes').insert({ paths: ['/'], service: { id: mine.id } }))).toMatchObject({
      code: 4,
    });
    expect(await here.entity('services').select({ field: 'name', value: 'same' })).toEqual(mine);
    expect(await other.entity('services').select({ field: 'name', value: 'same' })).toEqual(theirs);
    expect(await refusalBody(here.entity('workspaces').delete({ field: 'name', value: 'apart' }))).toMatchObject({
      code: 4,
    });
  });

  test('writes thousands of rows as one change, or none of them', async () => {
    const other = await newWorkspace('bulk');
    const before = await store.changes.serial();
    const rows = Array.from({ length: 1200 }, (_, index) => ({ name: `bulk-${index}`, host: 'h' }));
    expect(await other.entity('services').insertMany(rows)).toHaveLength(1200);
    expect(await store.changes.serial()).toBe(before + 1);
    const clash = [...rows.map(({ host }, index) => ({ host, name: `more-${index}` })), { name: 'bulk-7', host: 'h' }];
    expect(await refusalBody(other.entity('services').insertMany(clash))).toMatchObject({
      code: 5,
      fields: { name: 'bulk-7' },
    });
    expect(await other.entity('services').select({ field: 'name', value: 'more-0' })).toBeNull();
    expect(await store.changes.serial()).toBe(before + 1);
  });

  test('undoes a whole transaction when its work throws, and only the inner part when that is caught', async () => {
    const before = await store.changes.serial();
    const failed = here.transaction(async (inside) => {
      await inside.entity('services').insert({ name: 'undone', host: 'a' });
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toThrow('changed my mind');
    expect(await here.entity('services').select({ field: 'name', value: 'undone' })).toBeNull();
    await here.transaction(async (inside) => {
      await inside.entity('services').insert({ name: 'outer', host: 'a' });
      await refusal(inside.transaction((inner) => inner.entity('services').insert({ name: 'outer', host: 'b' })));
      await inside.entity('routes').insert({ name: 'outer', paths: ['/o'], service: { name: 'outer' } });
    });
    expect(await here.entity('routes').select({ field: 'name', value: 'outer' })).not.toBeNull();
    expect(await store.changes.serial()).toBe(before + 1);
  });

  test('a transaction that is not used, but gone around, fails or works, and never waits for itself', async () => {
    const around = here.transaction(async () => {
      await here.entity('services').insert({ name: 'around', host: 'a' });
    });
    if (store.driver === 'pglite') await expect(around).rejects.toThrow('through the transaction only');
    else await around;
  });

  // The last one: when its row is cleared away in the background, the serial moves on.
  test('lets rows with a ttl vanish on time, and PATCH leaves that time alone', async () => {
    const keys = here.entity('keyauth_credentials');
    await here.entity('consumers').insert({ username: 'brief' });
    const consumer = { username: 'brief' };
    expect(await keys.insert({ consumer, key: 'for-ever' })).toMatchObject({ ttl: null });
    expect(await keys.insert({ consumer, key: 'long' }, { ttl: 1000 })).toMatchObject({ ttl: 999 });
    expect((await keys.update({ field: 'key', value: 'long' }, { tags: ['x'] })).ttl).toBeGreaterThan(900);
    await keys.insert({ consumer, key: 'short', ttl: 1, tags: ['brief'] });
    await expect.poll(() => keys.select({ field: 'key', value: 'short' })).toBeNull();
    expect((await here.tags({ tag: 'brief' })).tags).toEqual([]);
    expect((await keys.page()).rows.map((row) => row.key).sort()).toEqual(['for-ever', 'long']);
    expect(await refusalBody(keys.insert({ consumer }, { ttl: 1.5 }))).toMatchObject({ code: 11 });
    expect(await refusalBody(here.entity('services').insert({ host: 'a' }, { ttl: 5 }))).toMatchObject({ code: 11 });
  });
});
