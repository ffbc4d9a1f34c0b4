import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { importConfig, parseConfig } from '../../../cp/declarative/import.ts';
import { catalogOf } from '../../../cp/store/catalog.ts';
import { schemas } from '../../../cp/store/schemas.ts';
import type { Row } from '../../../shared/record.ts';
import { type AdminServer, startAdmin } from '../admin/admin-server.ts';
import { createEmbedded, type Database } from '../admin/drivers.ts';
import { authority } from '../pki/authority.ts';
import { workspaceOf } from '../store/workspace-of.ts';

const catalog = catalogOf(schemas);
let database: Database;
let admin: AdminServer;
let document: Record<string, unknown>;

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
    await load({ ...(await leaf()), consumers });
    expect(await rows('/team/certificates')).toMatchObject([{ id: before?.id, snis: ['team.test'] }]);
  });

  it('knows ids in either case, and lets a row live as long as the document says', async () => {
    const id = 'ABCDEF00-0000-4000-8000-000000000001';
    const declared = (ttl?: number) => ({
      consumers: [{ id, username: 'ada' }],
      keyauth_credentials: [{ key: 'k', consumer: id, ...(ttl === undefined ? {} : { ttl }) }],
    });
    await post(declared(1000));
    const before = await serial();
    await post(declared(1000));
    expect(await serial()).toBe(before);
    await post(declared());
    expect(await rows('/key-auths')).toMatchObject([{ consumer: { id: id.toLowerCase() }, ttl: null }]);
  });
});

function secretOf(row: Row | undefined): unknown {
  const config = row?.config;
  return typeof config === 'object' && config !== null && 'secret' in config ? config.secret : undefined;
}
