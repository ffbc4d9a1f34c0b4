import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase, openStore, type StoreSettings } from '../../../cp/store/open.ts';
import { purgeRecords, RecordRoom } from '../../../cp/store/record-room.ts';
import type { Store, Workspace } from '../../../cp/store/store.ts';
import type { RecordChange } from '../../../shared/cluster/records.ts';
import { onBothDrivers } from './drivers.ts';

const NODE = '11111111-2222-4333-8444-555555555555';
const OTHER = '22222222-2222-4333-8444-555555555555';
const soon = () => Date.now() + 60_000;

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

onBothDrivers('what data planes share', ({ fresh }) => {
  let settings: StoreSettings;
  let store: Store;
  let workspace: Workspace;
  beforeAll(async () => {
    settings = await fresh();
    store = await openStore(settings, { migrate: true });
    workspace = (await store.workspace('default')) ?? expect.fail('no default workspace');
  });
  afterAll(() => store?.close());

  const put = (collection: string, key: string, value: unknown, until: number | null = null): RecordChange => {
    return { does: 'put', collection, key, value, until };
  };
  /** Everything behind a position, page by page. */
  const allAfter = async (known: Parameters<Store['records']['after']>[0]) => {
    let page = await store.records.after(known);
    const records = [...page.records];
    while (page.more) {
      page = await store.records.after(page.position);
      records.push(...page.records);
    }
    return { ...page, records };
  };

  test('comes in the order it was written, page by page, and a use or an addition counts once', async () => {
    const before = await store.records.position();
    await store.records.apply(NODE, [put('c', 'code', { n: 1 }, soon())]);
    const takes = await Promise.all(
      Array.from({ length: 5 }, () => store.records.apply(OTHER, [{ does: 'take', collection: 'c', key: 'code' }])),
    );
    expect(takes.flat().filter(({ found }) => found !== null)).toMatchObject([
      { outcome: 'done', found: { value: { n: 1 } } },
    ]);
    const add = { does: 'add', collection: 'c', key: 'one', value: 1, until: null } as const;
    const adds = await Promise.all(Array.from({ length: 5 }, () => store.records.apply(NODE, [add])));
    expect(adds.flat().filter(({ found }) => found === null)).toHaveLength(1);

    const large = Array.from({ length: 40 }, (_, n) => put('c', `large ${n}`, 'é'.repeat(10_000)));
    await store.records.apply(NODE, large);
    const { records, position } = await allAfter(before);
    expect(records.map(({ key, value }) => [key, value === null])).toEqual([
      ['code', true],
      ['one', false],
      ...large.map(({ key }) => [key, false]),
    ]);
    expect((await store.records.after(before)).more).toBe(true);
    expect(await store.records.after(position)).toEqual({ after: position.number, position, records: [], more: false });
    // Of another log, or behind what was forgotten: from the beginning.
    expect(await store.records.after({ ...position, log: OTHER })).toMatchObject({ after: 0 });
    const { records: living } = await allAfter(null);
    expect(living.map(({ key }) => key)).toContain('large 39');
  });

  test('that is refused leaves the rest as it is', async () => {
    const outcomes = await store.records.apply(NODE, [
      put('c', 'good', 1),
      put('c', 'nul', 'a\u0000b'),
      put('oauth2_tokens.access_token', 'x', { id: 'none' }),
      put('oauth2_tokens.access_token', 'x', {
        id: crypto.randomUUID(),
        ws_id: workspace.id,
        credential_id: crypto.randomUUID(),
        expires_in: 1,
        scope: 'a\r\nX-Consumer-Username: root',
      }),
      { does: 'get', collection: 'c', key: 'good' },
    ]);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['done', 'refused', 'refused', 'refused', 'done']);
    expect(outcomes[3]?.reason).toContain('scope');
    expect(outcomes[4]?.found?.value).toBe(1);
  });

  test('is one with the rows of the Admin API: tokens of both sides, until either deletes them, or their consumer goes', async () => {
    const consumer = await workspace.entity('consumers').insert({ username: 'ada' });
    const credential = await workspace
      .entity('oauth2_credentials')
      .insert({ name: 'app', consumer: { id: consumer.id } });
    const tokens = workspace.entity('oauth2_tokens');
    const token = (access: string, refresh: string) => ({
      id: crypto.randomUUID(),
      ws_id: workspace.id,
      credential_id: credential.id,
      expires_in: 60,
      access_token: access,
      refresh_token: refresh,
    });
    const collection = 'oauth2_tokens.access_token';
    const find = async (field: 'access_token' | 'refresh_token', value: string) => {
      const get = { does: 'get', collection: `oauth2_tokens.${field}`, key: sha256(value) } as const;
      return (await store.records.apply(NODE, [get]))[0]?.found?.value ?? null;
    };
    const before = await store.records.position();
    const serial = await store.changes.serial();
    const said = ['a', 'b', 'c'].map((name) => put(collection, sha256(name), token(name, `${name}r`), soon()));
    expect(await store.records.apply(NODE, said)).toEqual([
      { outcome: 'done' },
      { outcome: 'done' },
      { outcome: 'done' },
    ]);
    const listed = (await tokens.page()).rows;
    expect(listed.map(({ access_token }) => access_token).toSorted()).toEqual(['a', 'b', 'c']);
    expect(listed[0]).toMatchObject({
      credential: { id: credential.id },
      token_type: 'bearer',
      ttl: expect.any(Number),
    });
    // Others learn of them without learning them, and it is no change of the config.
    const told = JSON.stringify((await allAfter(before)).records);
    expect(told).toContain(sha256('a'));
    expect(told).not.toContain('"a"');
    expect(await store.changes.serial()).toBe(serial);

    const made = await tokens.insert({ credential: { id: credential.id }, expires_in: 60, access_token: 'admin' });
    expect(await find('access_token', 'admin')).toMatchObject({ id: made.id, credential_id: credential.id });
    expect(await find('refresh_token', 'ar')).toMatchObject({ access_token: sha256('a') });

    await tokens.delete({ field: 'access_token', value: 'a' });
    expect([await find('access_token', 'a'), await find('refresh_token', 'ar')]).toEqual([null, null]);
    const take = { does: 'take', collection: 'oauth2_tokens.refresh_token', key: sha256('br') } as const;
    expect((await store.records.apply(NODE, [take]))[0]?.found).not.toBeNull();
    expect((await store.records.apply(NODE, [take]))[0]?.found).toBeNull();
    expect((await tokens.page()).rows.map(({ access_token }) => access_token).toSorted()).toEqual(['admin', 'c']);
    const position = await store.records.position();
    await workspace.entity('consumers').delete({ id: String(consumer.id) });
    const gone = (await allAfter(position)).records;
    expect(gone.map(({ key, value }) => [key, value]).toSorted()).toEqual(
      [sha256('admin'), sha256('c'), sha256('cr')].toSorted().map((key) => [key, null]),
    );
  });

  test('is told from the beginning once a restored database was moved past what data planes had of it', async () => {
    await store.records.apply(NODE, [put('c', 'restored', 1)]);
    const before = await store.records.position();
    expect(await store.records.after(before)).toMatchObject({ after: before.number, records: [] });
    await store.changes.advanceTo((await store.changes.serial()) + 10);
    expect((await store.records.position()).log).not.toBe(before.log);
    const page = await allAfter(before);
    expect(page.records.map(({ key }) => key)).toContain('restored');
  });

  test('is forgotten when its time is over; who was away when deletions were forgotten begins again', async () => {
    await store.records.apply(NODE, [put('c', 'brief', 1, Date.now() + 1), put('c', 'old', 1)]);
    const before = await store.records.position();
    await store.records.apply(NODE, [{ does: 'delete', collection: 'c', key: 'old' }]);
    expect((await allAfter(before)).records).toEqual([{ collection: 'c', key: 'old', value: null, until: null }]);
    await store.close();
    const database = await openDatabase(settings);
    await database.query(
      `UPDATE shared_records SET changed_at = now() - interval '2 days', number = number WHERE key = 'old'`,
    );
    await purgeRecords(database);
    const left = await database.query(`SELECT key FROM shared_records WHERE key IN ('old', 'brief')`);
    await database.close();
    store = await openStore(settings);
    expect(left).toEqual([]);
    expect(await store.records.after(before)).toMatchObject({ after: 0 });
  });
});

test('one data plane takes no more room than is its own, and leaves some for others', async () => {
  const counts: Record<string, number> = { 'node = $1::uuid': 249_999, true: 700_000 };
  const asked: string[] = [];
  const room = new RecordRoom({
    query: async (statement) => {
      const text = String(statement);
      asked.push(text);
      const [, records = 0] = Object.entries(counts).find(([condition]) => text.includes(`WHERE ${condition}`)) ?? [];
      return [{ records, bytes: 0 }];
    },
    transaction: () => expect.fail('nothing is written'),
  });
  const own = await room.of(NODE);
  expect([own.take(10), own.take(10)]).toEqual([true, false]);
  expect(own.full).toContain('at most 250000 of one data plane');
  counts['node = $1::uuid'] = 0;
  expect((await room.of(OTHER)).take(10)).toBe(true);
  // Counted now and then, and not for each message.
  expect((await room.of(NODE)).take(10)).toBe(false);
  expect(asked).toHaveLength(3);
});
