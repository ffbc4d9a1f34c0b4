import { AsyncLocalStorage } from 'node:async_hooks';
import { generateKeyPairSync } from 'node:crypto';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { allRows } from '../../../cp/declarative/all-rows.ts';
import { exportedDocument } from '../../../cp/declarative/exported.ts';
import { importConfig, parseConfig } from '../../../cp/declarative/import.ts';
import { sameRow } from '../../../cp/declarative/same-row.ts';
import { catalogOf } from '../../../cp/store/catalog.ts';
import { schemas } from '../../../cp/store/schemas.ts';
import { entities } from '../../../shared/entities/registry.ts';
import type { Row } from '../../../shared/record.ts';
import { completeInsert } from '../../../shared/schema/complete.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import { STAMP } from '../../lua-plugins/stamp.ts';
import '../../plugin-lua.ts';
import { type AdminServer, startAdmin } from '../admin/admin-server.ts';
import { createEmbedded, type Database } from '../admin/drivers.ts';
import { authority } from '../pki/authority.ts';
import { workspaceOf } from '../store/workspace-of.ts';

const catalog = catalogOf(schemas);
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
const publicKey = String(pair.export({ type: 'spki', format: 'pem' }));
let database: Database;
let admin: AdminServer;
let document: Record<string, unknown>;
/** Beside it, so that there is some of every entity that an export has. */
let more: Record<string, unknown>;

beforeAll(async () => {
  database = await createEmbedded();
  admin = await startAdmin(database.settings);
  const ca = await authority('Again CA');
  const { cert, key } = await ca.leaf({ name: 'again.test' });
  // Whatever a row can be without: an id, a name, a key, a secret.
  document = {
    ca_certificates: [{ cert: ca.pem }],
    certificates: [{ cert, key, snis: [{ name: 'again.test' }] }, await pairOf(ca)],
    services: [
      { name: 'named', url: 'http://a.test', routes: [{ paths: ['/a'] }, { paths: ['/a'] }, { paths: ['/b'] }] },
      {
        url: 'http://nameless.test',
        plugins: [{ name: 'session' }, { name: 'oauth2', config: { enable_implicit_grant: true } }],
      },
    ],
    consumers: [
      {
        custom_id: 'only-a-custom-id',
        keyauth_credentials: [{ key: 'k1' }, { tags: ['made here'] }],
        basicauth_credentials: [{ username: 'ada', password: 'lovelace' }],
        hmacauth_credentials: [{ username: 'ada' }],
        jwt_secrets: [{ key: 'j1' }, { algorithm: 'HS384' }],
        oauth2_credentials: [{ name: 'app', client_id: 'app', client_secret: 'secret', hash_secret: true }],
        acls: [{ group: 'g' }],
        plugins: [{ name: 'rate-limiting', config: { minute: 5, policy: 'local' } }],
      },
    ],
    plugins: [{ name: 'correlation-id' }],
    upstreams: [{ name: 'u', targets: [{ target: '10.0.0.1' }, { target: '[::1]:80' }] }],
    vaults: [{ name: 'env', prefix: 'again', config: { prefix: 'x' } }],
    key_sets: [{ tags: ['nameless'] }],
  };
  const credential = 'abcdef00-0000-4000-8000-000000000002';
  more = {
    custom_plugins: [STAMP],
    plugins: [{ name: 'correlation-id' }, { name: 'stamp', config: { text: 'ab' } }],
    consumers: [
      {
        username: 'of every kind',
        custom_id: 'größe: 0x10',
        tags: ['yes', '1_000'],
        keyauth_credentials: [{ key: 'short', ttl: 1000 }, { key: '0123' }],
        basicauth_credentials: [{ username: 'ada', password: 'lovelace' }],
        hmacauth_credentials: [{ username: 'ada', secret: 'no' }],
        jwt_secrets: [{ key: 'j1', algorithm: 'RS256', rsa_public_key: publicKey }],
        oauth2_credentials: [{ id: credential, name: 'app', client_id: 'a', client_secret: 's', hash_secret: true }],
        acls: [{ group: 'g' }],
      },
    ],
    oauth2_tokens: [{ credential, expires_in: 3600, access_token: 'shown', refresh_token: 'again', ttl: 7200 }],
    consumer_groups: [{ name: 'gold', plugins: [{ name: 'rate-limiting', config: { minute: 5, policy: 'local' } }] }],
    consumer_group_consumers: [{ consumer_group: 'gold', consumer: 'of every kind' }],
    key_sets: [
      {
        name: 'set',
        keys: [
          { kid: 'pem', pem: { public_key: publicKey } },
          { name: 'key', kid: 'jwk', jwk: JSON.stringify({ ...pair.export({ format: 'jwk' }), kid: 'jwk' }) },
        ],
      },
    ],
    acme_storage: [{ key: 'acme', value: 'kept', ttl: 500 }],
  };
});
afterAll(async () => {
  await admin?.close();
  await database?.drop();
});
beforeEach(async () => {
  await post({});
});

async function pairOf(ca: Awaited<ReturnType<typeof authority>>) {
  const { cert, key } = await ca.leaf({ name: 'of-no-name.test' });
  return { cert, key };
}

async function post(content: object) {
  const answer = await admin.send('POST', '/config', { json: { _format_version: '3.0', ...content } });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer;
}

async function upsert(content: object) {
  const config = await parseConfig(JSON.stringify({ _format_version: '3.0', ...content }), catalog.context);
  return importConfig(await workspaceOf(admin.store), config, { mode: 'upsert', catalog });
}

/** All rows of this workspace, without what goes by when they were written. */
async function everything(): Promise<Record<string, Row[]>> {
  const workspace = await workspaceOf(admin.store);
  const found: Record<string, Row[]> = {};
  for (const { name } of entities) {
    found[name] = [];
    for await (const { updated_at: _at, ttl: _left, ...row } of allRows(workspace, name)) found[name].push(row);
  }
  return found;
}

const rows = async (path: string) => (await admin.send('GET', path)).rows;
const serial = () => admin.store.changes.serial();

describe('a document that is loaded again', () => {
  it('changes nothing and costs data planes nothing, whatever its rows have no name or secret for', async () => {
    const { text } = await post(document);
    const before = await serial();
    const again = await post(document);
    expect(again.headers.get('x-holdfast-config-changes')).toMatch(/^written=0, deleted=0, unchanged=\d\d$/);
    // The answer shows what is stored, also what was made for it.
    expect(JSON.parse(again.text)).toEqual(JSON.parse(text));
    expect(await upsert(document)).toMatchObject({ written: 0, deleted: 0, warnings: [] });
    expect(await serial()).toBe(before);
  });

  it('changes nothing when it is what was exported, of whatever entities', async () => {
    await post({ ...document, ...more });
    const groups = await admin.send('POST', '/groups', { json: { name: 'again', labels: 'region = eu', tags: ['a'] } });
    expect(groups.status, groups.text).toBe(201);
    const { text } = await admin.send('GET', '/config/export');
    const held = entities.filter(({ name }) => text.includes(`\n${name}:\n`)).map(({ name }) => name);
    const isHeld = ({ name, db_export }: EntitySchema) =>
      db_export !== false && name !== 'workspaces' && name !== 'filter_chains';
    expect(held).toEqual(entities.filter(isHeld).map(({ name }) => name));
    const before = await serial();
    const stored = await everything();
    // Where it is another second, it was written in another one.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    for (const path of ['/config', '/config/import']) {
      const again = await admin.send('POST', path, { headers: { 'content-type': 'application/yaml' }, body: text });
      expect(again.status, again.text).toBe(path === '/config' ? 201 : 200);
      if (path === '/config') {
        const changes = again.headers.get('x-holdfast-config-changes');
        expect(changes).toMatch(/^written=0, deleted=0, unchanged=\d\d$/);
      } else expect(again.body).toMatchObject({ written: 0 });
      expect(await serial()).toBe(before);
    }
    expect(await everything()).toEqual(stored);
  });

  it('changes nothing however long it is looked at, though rows it has vanish at a time', async () => {
    await post({ ...document, ...more });
    const { text } = await admin.send('GET', '/config/export');
    // Another ten seconds have passed each time it is asked for.
    let looks: number | null = null;
    const now = () => catalog.context.now() + (looks === null ? 0 : 10 * looks++);
    const config = await parseConfig(text, { ...catalog.context, now });
    const onStart = () => {
      looks = 0;
    };
    const outcome = await importConfig(await workspaceOf(admin.store), config, { mode: 'replace', catalog, onStart });
    expect(outcome).toMatchObject({ written: 0, deleted: 0 });
  });

  it('has an export be of one moment, whoever writes while it is made', async () => {
    await post(document);
    const workspace = await workspaceOf(admin.store);
    const write = (): Promise<Row> =>
      workspace.transaction(async (inside) => {
        const service = await inside.entity('services').insert({ name: 'late', host: 'late.test' });
        return inside.entity('routes').insert({ name: 'late', paths: ['/late'], service: { id: service.id } });
      });
    // As another request would, not within the view that is read.
    const elsewhere = AsyncLocalStorage.snapshot();
    let writing: Promise<Row> | null = null;
    const interrupted = (inside: typeof workspace): typeof workspace => ({
      ...inside,
      entity(name) {
        const entity = inside.entity(name);
        return {
          ...entity,
          page(query) {
            // Behind the services.
            if (name === 'routes') writing ??= elsewhere(write);
            return entity.page(query);
          },
        };
      },
      snapshot: (work) => inside.snapshot((view) => work(interrupted(view))),
    });
    const text = async (of: typeof workspace): Promise<string> => {
      let whole = '';
      for await (const part of exportedDocument(of)) whole += part;
      return whole;
    };
    const before = await text(workspace);
    expect(await text(interrupted(workspace))).toBe(before);
    await writing;
    expect((await text(workspace)).split('late')).toHaveLength(5);
  });

  it('has an export make the same rows elsewhere, and lets none of them live longer than it was to', async () => {
    await post({ ...document, ...more });
    const { text } = await admin.send('GET', '/config/export');
    const stored = await everything();
    await post({});
    const load = () => admin.send('POST', '/config', { headers: { 'content-type': 'application/yaml' }, body: text });
    expect((await load()).headers.get('x-holdfast-config-changes')).toMatch(/^written=\d\d, deleted=0, unchanged=\d$/);
    expect(await everything()).toEqual(stored);
    const { ttl } = (await rows('/key-auths')).find(({ key }) => key === 'short') ?? {};
    expect(ttl).toBeLessThanOrEqual(1000);
    const before = await serial();
    await load();
    expect(await serial()).toBe(before);
  });

  it('keeps what was made for a row when something else of it changes', async () => {
    const jwt = (tags: string[]) => ({ consumers: [{ username: 'ada', jwt_secrets: [{ key: 'j', tags }] }] });
    await post(jwt([]));
    const [before] = await rows('/jwts');
    await post(jwt(['changed']));
    expect(await rows('/jwts')).toEqual([{ ...before, tags: ['changed'] }]);
    const session = (cookie_name: string) => ({ plugins: [{ name: 'session', config: { cookie_name } }] });
    await post(session('a'));
    const [first] = await rows('/plugins');
    await post(session('b'));
    const [second] = await rows('/plugins');
    expect(second).toMatchObject({ id: first?.id, config: { cookie_name: 'b', secret: secretOf(first) } });
  });

  it('takes the rows people have made by hand for its own, by any of their unique keys', async () => {
    const make = async (path: string, json: Row) => (await admin.send('POST', path, { json })).body;
    const service = await make('/services', { name: 'hand', host: 'hand.test' });
    const consumer = await make('/consumers', { custom_id: 'hand' });
    const password = await make(`/consumers/${consumer.id}/basic-auth`, { username: 'hand', password: 'made' });
    const key = await make(`/consumers/${consumer.id}/key-auth`, { key: 'hand' });
    const plugin = await make(`/consumers/${consumer.id}/plugins`, { name: 'correlation-id' });
    const declared = {
      services: [{ name: 'hand', host: 'hand.test' }],
      consumers: [
        {
          custom_id: 'hand',
          keyauth_credentials: [{ key: 'hand' }],
          basicauth_credentials: [{ username: 'hand', password: 'made' }],
          plugins: [{ name: 'correlation-id' }],
        },
      ],
    };
    const before = await serial();
    expect(await upsert(declared)).toMatchObject({ written: 0, unchanged: 5 });
    await post(declared);
    expect(await serial()).toBe(before);
    declared.services[0] = { name: 'hand', host: 'changed.test' };
    const { body } = await post(declared);
    expect(body.services).toMatchObject({ [String(service.id)]: { host: 'changed.test' } });
    for (const [path, { id }] of [
      ['/consumers', consumer],
      ['/basic-auths', password],
      ['/key-auths', key],
      ['/plugins', plugin],
    ] as const) {
      expect(await rows(path), path).toMatchObject([{ id }]);
    }
  });

  it('reads, of all that is there, only what has to do with the rows it names', async () => {
    const consumers = Array.from({ length: 120 }, (_, n) => ({
      username: `many-${n}`,
      keyauth_credentials: [{ key: `many-${n}` }],
      acls: [{ group: 'many' }],
    }));
    await upsert({ consumers });
    const workspace = await workspaceOf(admin.store);
    const met: string[] = [];
    const watched = (inside: typeof workspace): typeof workspace => ({
      ...inside,
      entity(name) {
        const entity = inside.entity(name);
        return {
          ...entity,
          async page(query) {
            const page = await entity.page(query);
            met.push(...page.rows.map((row) => `page of ${name}: ${row.id}`));
            return page;
          },
          async related(given) {
            const found = await entity.related(given);
            met.push(...found.map(({ username, key, group }) => `${name} ${username ?? key ?? group}`));
            return found;
          },
        };
      },
      transaction: (work) => workspace.transaction((own) => work(watched(own))),
    });
    const content = {
      consumers: [...consumers.slice(5, 7), { username: 'one-more', keyauth_credentials: [{ key: 'x' }] }],
    };
    const config = await parseConfig(JSON.stringify({ _format_version: '3.0', ...content }), catalog.context);
    expect(await importConfig(watched(workspace), config, { mode: 'upsert', catalog })).toMatchObject({
      written: 2,
      unchanged: 6,
    });
    expect(met.toSorted()).toEqual([
      'acls many',
      'acls many',
      'consumers many-5',
      'consumers many-6',
      'keyauth_credentials many-5',
      'keyauth_credentials many-6',
    ]);
  });

  it('puts a renewed certificate in the place of the one its server names are of', async () => {
    const ca = await authority('Renewing CA');
    const certificates = async () => [
      { ...(await ca.leaf({ name: 'renewed.test' })), snis: [{ name: 'renewed.test' }] },
    ];
    const declared = async () => (await certificates()).map(({ cert, key, snis }) => ({ cert, key, snis }));
    await upsert({ certificates: await declared() });
    const [before] = await rows('/certificates');
    expect(await upsert({ certificates: await declared() })).toMatchObject({ written: 1, warnings: [] });
    expect(await rows('/certificates')).toMatchObject([{ id: before?.id, snis: ['renewed.test'] }]);
    expect((await rows('/certificates'))[0]?.cert).not.toBe(before?.cert);
  });

  it('tells of entities that nothing will tell from new ones once they are changed', async () => {
    const routes = (path: string) => ({ services: [{ name: 's', host: 's.test', routes: [{ paths: [path] }] }] });
    expect((await upsert(routes('/a'))).warnings).toEqual([
      expect.stringMatching(/without id and name were added \(1 in routes\).*give each an id/),
    ]);
    expect((await upsert(routes('/a'))).warnings).toEqual([]);
    expect((await upsert(routes('/b'))).warnings).toHaveLength(1);
    expect(await rows('/routes')).toHaveLength(2);
    await post(routes('/c'));
    expect(await rows('/routes')).toMatchObject([{ paths: ['/c'] }]);
  });

  it('leaves alone what other workspaces have, and what all of them share', async () => {
    await admin.send('POST', '/workspaces', { json: { name: 'team' } });
    const ca = await authority('Shared CA');
    await post({ ca_certificates: [{ cert: ca.pem }], services: [{ name: 's', host: 's.test' }] });
    const { status, headers, text } = await admin.send('POST', '/team/config', {
      json: { _format_version: '3.0', services: [{ name: 's', host: 'team.test' }] },
    });
    expect(status, text).toBe(201);
    expect(headers.get('x-holdfast-config-changes')).toBe('written=1, deleted=0, unchanged=0');
    expect(await rows('/services')).toMatchObject([{ name: 's', host: 's.test' }]);
    expect(await rows('/ca_certificates')).toHaveLength(1);
    expect(await rows('/team/services')).toMatchObject([{ name: 's', host: 'team.test' }]);

    // Its own rows are found again there as anywhere.
    const leaf = async () => {
      const { cert, key } = await ca.leaf({ name: 'team.test' });
      return { certificates: [{ cert, key, snis: [{ name: 'team.test' }] }] };
    };
    const consumers = [{ custom_id: 'c', keyauth_credentials: [{ key: 'k' }] }];
    const load = (content: object) =>
      admin.send('POST', '/team/config', { json: { _format_version: '3.0', ...content } });
    const first = await leaf();
    await load({ ...first, consumers });
    const [before] = await rows('/team/certificates');
    const again = await load({ ...first, consumers });
    expect(again.headers.get('x-holdfast-config-changes')).toBe('written=0, deleted=0, unchanged=4');
    const { text: exported } = await admin.send('GET', '/team/config/export');
    const body = { headers: { 'content-type': 'application/yaml' }, body: exported };
    const sentBack = await admin.send('POST', '/team/config', body);
    expect(sentBack.headers.get('x-holdfast-config-changes')).toMatch(/^written=0, deleted=0, unchanged=\d$/);
    await load({ ...(await leaf()), consumers });
    expect(await rows('/team/certificates')).toMatchObject([{ id: before?.id, snis: ['team.test'] }]);
  });

  it('knows ids in either case, and lets a row live as long as the document says, from each time it is loaded', async () => {
    const id = 'ABCDEF00-0000-4000-8000-000000000001';
    const declared = (ttl?: number) => ({
      consumers: [{ id, username: 'ada' }],
      keyauth_credentials: [{ key: 'k', consumer: id, ...(ttl === undefined ? {} : { ttl }) }],
    });
    await post(declared());
    const before = await serial();
    await post(declared());
    expect(await serial()).toBe(before);
    await post(declared(1000));
    const [brief] = await rows('/key-auths');
    expect(brief).toMatchObject({ consumer: { id: id.toLowerCase() } });
    expect(brief?.ttl).toBeLessThanOrEqual(1000);
    await post(declared(5000));
    expect((await rows('/key-auths'))[0]?.ttl).toBeGreaterThan(1000);
    await post(declared());
    expect(await rows('/key-auths')).toMatchObject([{ ttl: null }]);
  });

  it.each([
    [997, 1000, false],
    [998, 1000, true],
    [1000, 998, true],
    [null, 1000, false],
    [1000, null, false],
    [null, 0, true],
    [998, 1_700_001_000, true],
    [997, 1_700_001_000, false],
  ])('has a row with %s seconds left and one declared with %s for the same: %s', async (left, ttl, same) => {
    const schema = entities.find(({ name }) => name === 'keyauth_credentials') ?? expect.fail();
    const input = { key: 'k', consumer: { id: '00000000-0000-4000-8000-000000000000' } };
    const context = { ...catalog.context, now: () => 1_700_000_000 };
    const row = await completeInsert(schema, input, context);
    expect(await sameRow(schema, { ...row, ttl: left }, { row, input, ttl, identified: false }, context)).toBe(same);
  });
});

function secretOf(row: Row | undefined): unknown {
  const config = row?.config;
  return typeof config === 'object' && config !== null && 'secret' in config ? config.secret : undefined;
}
