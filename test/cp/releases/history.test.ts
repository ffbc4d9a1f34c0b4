import { Client } from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openStore } from '../../../cp/store/open.ts';
import { isRecord, type Row, recordOrEmpty } from '../../../shared/record.ts';
import { type PostgresServer, startPostgres } from '../../postgres-server.ts';
import { type RunningControlPlane, runControlPlane } from '../running-control-plane.ts';

/** Milliseconds for what takes a moment, also on a busy machine. */
const PATIENCE = { timeout: 60_000 };

let server: PostgresServer;
let a: RunningControlPlane;
let b: RunningControlPlane;

beforeAll(async () => {
  server = await startPostgres();
  await (await openStore(server.settings(), { migrate: true })).close();
  const { pg_host, pg_port, pg_user, pg_database } = server.settings();
  const database = { database: 'postgres', pg_host, pg_port: String(pg_port), pg_user, pg_database };
  a = await runControlPlane(database, 'aaaaaaaa-2222-4333-8444-555555555555');
  const { cluster_cert, cluster_cert_key, bundle_signing_key } = a.settings;
  const same = { cluster_cert, cluster_cert_key, bundle_signing_key };
  const files = Object.fromEntries(Object.entries(same).map(([name, value]) => [name, value ?? '']));
  b = await runControlPlane({ ...database, ...files }, 'bbbbbbbb-2222-4333-8444-555555555555');
});
afterAll(async () => {
  await b?.stop();
  await a?.stop();
  await server?.stop();
});

async function ask(plane: RunningControlPlane, method: string, path: string, body?: unknown): Promise<Readonly<Row>> {
  const yaml = typeof body === 'string';
  const response = await fetch(plane.admin + path, {
    method,
    ...(body === undefined
      ? {}
      : {
          body: yaml ? body : JSON.stringify(body),
          headers: { 'content-type': yaml ? 'application/yaml' : 'application/json' },
        }),
  });
  const text = await response.text();
  expect(response.status, `${method} ${path}: ${text}`).toBeLessThan(300);
  return recordOrEmpty(text === '' ? {} : JSON.parse(text));
}

async function rows(plane: RunningControlPlane, path: string): Promise<readonly Row[]> {
  const { data } = await ask(plane, 'GET', path);
  return Array.isArray(data) ? data.filter(isRecord) : [];
}

/** The newest release of a group that has this serial, or a later one. */
async function releaseAt(plane: RunningControlPlane, group: string, serial: number): Promise<Row> {
  const newest = async () => (await rows(plane, `/releases?group=${group}`))[0];
  await expect.poll(async () => Number((await newest())?.serial ?? -1), PATIENCE).toBeGreaterThanOrEqual(serial);
  return (await newest()) ?? expect.fail('it is gone');
}

async function serialNow(plane: RunningControlPlane): Promise<number> {
  const response = await fetch(`${plane.admin}/services`, {
    method: 'POST',
    body: JSON.stringify({ host: 'marker.test', tags: ['marker'] }),
    headers: { 'content-type': 'application/json' },
  });
  expect(response.status).toBe(201);
  return Number(response.headers.get('x-holdfast-serial'));
}

const text = async (plane: RunningControlPlane, path: string, accept = '*/*') =>
  (await fetch(plane.admin + path, { headers: { accept } })).text();

test('every config that a group is given at once is kept, once for all control planes, with its writes; as a file it makes itself anew', async () => {
  const { id: service } = await ask(a, 'POST', '/services', { name: 'shop', host: 'shop.test' });
  await ask(a, 'POST', '/routes', { name: 'shop', paths: ['/shop'], service: { id: service } });
  await ask(b, 'POST', '/consumers', { username: 'ada' });
  const { id: kept } = await ask(b, 'POST', '/consumers/ada/key-auth', { key: 'open-sesame' });
  const { id: lost } = await ask(b, 'POST', '/consumers/ada/key-auth', { key: 'to-be-lost' });
  await ask(b, 'POST', '/plugins', { name: 'key-auth', service: { id: service } });
  const before = await releaseAt(a, 'default', await serialNow(a));
  expect(before).toMatchObject({ group: 'default', state: 'published', strategy: [], ring: null });

  const { id: changed } = await ask(b, 'PATCH', '/services/shop', { host: 'moved.test' });
  await ask(b, 'DELETE', `/consumers/ada/key-auth/${lost}`);
  const after = await releaseAt(b, 'default', await serialNow(b));
  expect(after.config_hash).not.toBe(before.config_hash);
  const { writes } = await ask(a, 'GET', `/releases/${after.id}`);
  expect(writes).toContainEqual(expect.objectContaining({ entity: 'services', operation: 'create' }));
  const all = await rows(a, '/releases?group=default&size=1000');
  expect(new Set(all.map(({ serial }) => serial)).size).toBe(all.length);
  const since = all.filter(({ serial }) => Number(serial) > Number(before.serial));
  const told = await Promise.all(since.map(async ({ id }) => (await ask(b, 'GET', `/releases/${id}`)).writes));
  expect(told.flat()).toContainEqual(
    expect.objectContaining({ entity: 'services', id: changed, operation: 'update', at: expect.any(Number) }),
  );
  expect(
    (await rows(a, `/releases/${before.id}/diff/${after.id}`)).map(({ entity, operation }) => [entity, operation]),
  ).toEqual(
    expect.arrayContaining([
      ['services', 'update'],
      ['keyauth_credentials', 'delete'],
    ]),
  );

  // What is gone since cannot be in it; all else is, secrets included.
  const document = await text(a, `/releases/${before.id}/config`);
  expect(document).toContain('_format_version: "3.0"');
  expect(document).toContain(`# left out: keyauth_credentials ${lost}: key is not kept`);
  expect(document).toContain('open-sesame');
  expect(document).not.toContain('to-be-lost');
  const json = recordOrEmpty(JSON.parse(await text(a, `/releases/${before.id}/config`, 'application/json')));
  expect(json.keyauth_credentials).toEqual([expect.objectContaining({ id: kept, key: 'open-sesame' })]);
  await ask(a, 'POST', '/config', document);
  expect((await ask(b, 'GET', '/services/shop')).host).toBe('shop.test');
  const again = await releaseAt(a, 'default', await serialNow(a));
  const differences = await rows(b, `/releases/${before.id}/diff/${again.id}`);
  // Besides the marker that made the last one.
  expect(differences.filter(({ entity }) => entity !== 'services')).toEqual([
    expect.objectContaining({ entity: 'keyauth_credentials', id: lost, operation: 'delete' }),
  ]);
  expect(differences.filter(({ name }) => name === 'shop')).toEqual([]);
});

test('a group that is given things at once goes back to a kept config, and stays there until it is told to go on', async () => {
  const before = await releaseAt(a, 'default', await serialNow(a));
  await ask(a, 'POST', '/services', { name: 'mistake', host: 'mistake.test' });
  await releaseAt(a, 'default', await serialNow(a));
  const back = await ask(b, 'POST', `/releases/${before.id}/rollback`, {});
  expect(back).toMatchObject({ state: 'live', rollback_to: before.id, config_hash: before.config_hash });
  await expect
    .poll(() => ask(a, 'GET', '/groups/default'), PATIENCE)
    .toMatchObject({ publish: 'release', serial: back.serial, config_hash: before.config_hash });
  expect(await rows(a, '/groups/default/pending')).toContainEqual(
    expect.objectContaining({ name: 'mistake', operation: 'create' }),
  );
  const refused = await fetch(`${a.admin}/releases/${before.id}/rollback`, { method: 'POST' });
  expect([refused.status, recordOrEmpty(await refused.json()).message]).toEqual([
    409,
    expect.stringContaining('get what this release has already'),
  ]);
  // What is written waits; then everything goes on from what is written.
  await ask(a, 'DELETE', '/services/mistake');
  expect((await ask(b, 'GET', '/groups/default')).config_hash).toBe(before.config_hash);
  await ask(b, 'PATCH', '/groups/default', { publish: 'immediate' });
  const last = await releaseAt(a, 'default', await serialNow(a));
  expect(last.state).toBe('published');
});

test('what is beyond count and age is forgotten, with the objects that nothing else needs, and what data planes have is not', async () => {
  const store = await openStore(server.settings());
  onTestFinished(() => store.close());
  const client = new Client({
    ...server.settings(),
    host: server.settings().pg_host,
    port: server.settings().pg_port,
    user: server.settings().pg_user,
    database: server.settings().pg_database,
  });
  await client.connect();
  onTestFinished(() => client.end());
  const count = async (what: string) => Number((await client.query(`SELECT count(*) FROM ${what}`)).rows[0].count);
  for (let number = 0; number < 4; number++) await releaseAt(a, 'default', await serialNow(a));
  const newest = await releaseAt(a, 'default', 0);
  const all = await count('releases');
  expect(await store.releases.forget({ count: 1000, age: 0 })).toBe(0);
  expect(await store.releases.forget({ count: 2, age: 0 })).toBe(all - 3);
  const left = await rows(a, '/releases');
  expect(left[0]?.id).toBe(newest.id);
  expect(left.length).toBe(3);
  expect(await count('release_objects o WHERE NOT EXISTS (SELECT FROM release_uses u WHERE u.name = o.name)')).toBe(0);
  expect(await text(b, `/releases/${left[2]?.id}/config`)).toContain('marker.test');
  await client.query(`UPDATE releases SET created_at = created_at - interval '1 hour'`);
  expect(await store.releases.forget({ count: 2, age: 1800 })).toBe(2);
  expect((await rows(a, '/releases')).map(({ id }) => id)).toEqual([newest.id]);
});
