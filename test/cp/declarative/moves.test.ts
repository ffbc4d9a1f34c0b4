import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AdminServer, startAdmin } from '../admin/admin-server.ts';
import { type Database, drivers } from '../admin/drivers.ts';
import { authority } from '../pki/authority.ts';

const ID = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;

describe.each(drivers)('a document in which rows that stay go elsewhere ($driver)', ({ create }) => {
  let database: Database;
  let admin: AdminServer;

  beforeAll(async () => {
    database = await create();
    admin = await startAdmin(database.settings);
  });
  afterAll(async () => {
    await admin?.close();
    await database?.drop();
  });
  beforeEach(() => load({}));

  async function load(document: object) {
    const answer = await admin.send('POST', '/config', { json: { _format_version: '3.0', ...document } });
    expect(answer.text && answer.status, answer.text).toBe(201);
    return answer;
  }
  const rows = async (path: string) => (await admin.send('GET', path)).rows;

  it('moves a route to a new service while the old one goes, and keeps all that hangs on it', async () => {
    const route = { name: 'stays', paths: ['/a'], plugins: [{ name: 'key-auth' }] };
    const service = { url: 'http://one.test', routes: [route], plugins: [{ name: 'correlation-id' }] };
    await load({ services: [{ name: 'before', ...service }] });
    const [kept] = await rows('/services/before/routes');
    const [plugin] = await rows('/routes/stays/plugins');
    const serial = await admin.store.changes.serial();
    await load({ services: [{ name: 'after', ...service }] });
    expect(await admin.store.changes.serial()).toBe(serial + 1);
    expect((await rows('/services')).map(({ name }) => name)).toEqual(['after']);
    expect(await rows('/services/after/routes')).toMatchObject([{ id: kept?.id, created_at: kept?.created_at }]);
    expect(await rows('/routes/stays/plugins')).toMatchObject([{ id: plugin?.id }]);
    expect(await rows('/services/after/plugins')).toMatchObject([{ name: 'correlation-id' }]);
  });

  it('passes names and keys from rows that go, and between rows that stay', async () => {
    const targets = (first: number, second: number) => [
      { id: ID(1), target: `10.0.0.${first}:80` },
      { id: ID(2), target: `10.0.0.${second}:80` },
    ];
    await load({
      services: [
        { id: ID(3), name: 'blue', host: 'blue.test' },
        { id: ID(4), name: 'green', host: 'green.test' },
      ],
      upstreams: [{ name: 'u', targets: targets(1, 2) }],
      consumers: [
        { username: 'ada', custom_id: '7', keyauth_credentials: [{ id: ID(5), key: 'k' }], acls: [{ group: 'g' }] },
        { username: 'bob', jwt_secrets: [{ id: ID(6), key: 'j', secret: 's' }] },
      ],
    });
    await load({
      services: [
        { id: ID(3), name: 'green', host: 'blue.test' },
        { id: ID(4), name: 'blue', host: 'green.test' },
      ],
      upstreams: [{ name: 'u', targets: targets(2, 1) }],
      consumers: [
        { username: 'cleo', custom_id: '7', keyauth_credentials: [{ id: ID(7), key: 'k' }], acls: [{ group: 'g' }] },
        { username: 'bob', jwt_secrets: [{ id: ID(8), key: 'j', secret: 's' }] },
      ],
    });
    expect(await rows('/services')).toMatchObject([
      { id: ID(3), name: 'green', host: 'blue.test' },
      { id: ID(4), name: 'blue', host: 'green.test' },
    ]);
    const byId = (list: readonly { readonly [field: string]: unknown }[]) =>
      Object.fromEntries(list.map(({ id, target }) => [id, target]));
    expect(byId(await rows('/upstreams/u/targets'))).toEqual({ [ID(1)]: '10.0.0.2:80', [ID(2)]: '10.0.0.1:80' });
    expect((await rows('/consumers')).map(({ username }) => username).sort()).toEqual(['bob', 'cleo']);
    expect(await rows('/consumers/cleo/key-auth')).toMatchObject([{ id: ID(7), key: 'k' }]);
    expect(await rows('/consumers/cleo/acls')).toMatchObject([{ group: 'g' }]);
    expect(await rows('/consumers/bob/jwt')).toMatchObject([{ id: ID(8), key: 'j' }]);
  });

  it('takes members out of a group that goes, and certificates away from services that trusted them', async () => {
    const ca = await authority('Moves CA');
    const other = await authority('Another CA');
    await load({
      ca_certificates: [{ id: ID(1), cert: ca.pem }],
      services: [{ name: 's', url: 'https://s.test', ca_certificates: [ID(1)] }],
      consumers: [{ username: 'ada' }],
      consumer_groups: [{ name: 'gold', consumer_group_consumers: [{ consumer: 'ada' }] }],
    });
    await load({
      ca_certificates: [{ id: ID(2), cert: other.pem }],
      services: [{ name: 's', url: 'https://s.test', ca_certificates: [ID(2)] }],
      consumers: [{ username: 'ada' }],
      consumer_groups: [{ name: 'silver', consumer_group_consumers: [{ consumer: 'ada' }] }],
    });
    expect(await rows('/ca_certificates')).toMatchObject([{ id: ID(2) }]);
    expect(await rows('/services')).toMatchObject([{ name: 's', ca_certificates: [ID(2)] }]);
    expect((await admin.send('GET', '/consumers/ada/consumer_groups')).body).toMatchObject({
      consumer_groups: [{ name: 'silver' }],
    });
  });

  it('hands a server name over to another certificate while the one it was of goes', async () => {
    const ca = await authority('Names CA');
    const [first, second] = [await ca.leaf({ name: 'a.test' }), await ca.leaf({ name: 'a.test' })];
    await load({ certificates: [{ id: ID(1), ...pem(first), snis: [{ name: 'a.test' }, { name: 'b.test' }] }] });
    await load({ certificates: [{ id: ID(2), ...pem(second), snis: [{ name: 'a.test' }] }] });
    expect(await rows('/certificates')).toMatchObject([{ id: ID(2), snis: ['a.test'] }]);
    expect(await rows('/snis')).toHaveLength(1);
  });
});

function pem({ cert, key }: { readonly cert: string; readonly key: string }) {
  return { cert, key };
}
