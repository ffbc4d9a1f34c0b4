import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { loadDeclared } from '../../../cp/declarative/dbless.ts';
import { DocumentRoom } from '../../../cp/declarative/document-room.ts';
import { configLoader } from '../../../cp/declarative/loader.ts';
import { createLog } from '../../../cp/instance/log.ts';
import { loadSettings } from '../../../cp/settings/load.ts';
import { schemasFor } from '../../../cp/store/schemas.ts';
import { type AdminServer, startAdmin } from '../admin/admin-server.ts';
import { createEmbedded, type Database, drivers } from '../admin/drivers.ts';

const TEXT = `
_format_version: "3.0"
services:
  - name: s1
    url: http://one.test
    routes:
      - { name: r1, paths: [/one] }
consumers:
  - username: ada
    basicauth_credentials: [{ username: ada, password: lovelace }]
`;

describe('POST /config', () => {
  let database: Database;
  let admin: AdminServer;
  const post = (query: string, text: string) =>
    admin.send('POST', `/config${query}`, { body: text, headers: { 'content-type': 'application/yaml' } });

  beforeAll(async () => {
    database = await createEmbedded();
    admin = await startAdmin(database.settings);
  });
  afterAll(async () => {
    await admin?.close();
    await database?.drop();
  });

  it('makes the document the whole config, as one serial, and answers with the flattened entities', async () => {
    await admin.send('POST', '/services', { json: { name: 'gone', host: 'gone.test' } });
    const before = await admin.store.changes.serial();
    const { status, headers, body } = await post('', TEXT);
    expect(status).toBe(201);
    expect(headers.get('x-holdfast-config-changes')).toBe('written=4, deleted=1, unchanged=0');
    expect(Object.keys(body).sort()).toEqual(['basicauth_credentials', 'consumers', 'routes', 'services']);
    expect(Object.values(body.services ?? {})).toMatchObject([{ name: 's1', host: 'one.test', retries: 5 }]);
    expect(await admin.store.changes.serial()).toBe(before + 1);
    expect((await admin.send('GET', '/services')).rows).toMatchObject([{ name: 's1' }]);
    expect((await post('', TEXT)).status).toBe(201);
    expect(await admin.store.changes.serial()).toBe(before + 1);
  });

  it('leaves groups of data planes alone that a document says nothing of, as Kong has none', async () => {
    await admin.send('PUT', '/groups/eu', { json: { labels: 'region = eu' } });
    expect((await post('', TEXT)).status).toBe(201);
    expect((await admin.send('GET', '/groups')).rows).toMatchObject([{ name: 'eu' }]);
    expect((await post('', `${TEXT}\ngroups:\n  - { name: us, labels: region = us }\n`)).status).toBe(201);
    expect((await admin.send('GET', '/groups')).rows).toMatchObject([{ name: 'us' }]);
    await admin.send('DELETE', '/groups/us');
  });

  it('tells what an import would do, field by field, and does nothing of it', async () => {
    const changed = TEXT.replace('paths: [/one]', 'paths: [/two]').replace('lovelace', 'byron');
    const text = `${changed}upstreams: [{ name: u1 }]\n`;
    expect((await post('', TEXT)).status).toBe(201);
    const before = await admin.store.changes.serial();
    const { status, body } = await post('/diff', text);
    expect(status).toBe(200);
    expect(body.data).toMatchObject([
      { entity: 'routes', name: 'r1', operation: 'update', fields: { paths: { from: ['/one'], to: ['/two'] } } },
      { entity: 'upstreams', name: 'u1', operation: 'create' },
      {
        entity: 'basicauth_credentials',
        name: 'ada',
        operation: 'update',
        fields: { password: { from: '***', to: '***' } },
      },
    ]);
    expect(await admin.store.changes.serial()).toBe(before);
    expect((await post('/diff', TEXT)).body).toEqual({ data: [] });
    expect((await post('/diff', 'services: [{ name: s1, host: a, nonsense: 1 }]')).status).toBe(400);
  });

  it('answers 304 for the text it loaded last, until anything has changed', async () => {
    const text = `${TEXT}# another text of the same meaning\n`;
    expect((await post('?check_hash=1', text)).status).toBe(201);
    expect(await post('?check_hash=1', text)).toMatchObject({ status: 304, text: '' });
    expect((await post('', text)).status).toBe(201);
    await admin.send('PATCH', '/services/s1', { json: { retries: 1 } });
    expect((await post('?check_hash=1', text)).status).toBe(201);
    expect((await admin.send('GET', '/services/s1')).body.retries).toBe(5);
  });

  it('takes JSON and the config as an argument, and gives documents the same ids each time', async () => {
    const document = { _format_version: '3.0', services: [{ name: 's1', url: 'http://one.test' }] };
    const first = await admin.send('POST', '/config', { json: document });
    const second = await admin.send('POST', '/config', { json: { config: JSON.stringify(document) } });
    expect(first.status).toBe(201);
    expect(Object.keys(second.body.services ?? {})).toEqual(Object.keys(first.body.services ?? {}));
  });

  it('stores nothing of an invalid document and says what is wrong, entity by entity when asked', async () => {
    const before = await admin.store.changes.serial();
    const wrong = `
_format_version: "3.0"
services:
  - { name: good, url: http://good.test, tags: [a] }
  - name: bad
    id: 6b1a63a0-4b6a-4f0e-9d8a-0f2f3a1c5b11
    host: bad.test
    port: 70000
    tags: [b]
`;
    expect(await post('', wrong)).toMatchObject({
      status: 400,
      body: {
        code: 14,
        name: 'invalid declarative configuration',
        fields: { services: [null, { port: 'value should be between 0 and 65535' }] },
      },
    });
    expect(await post('?flatten_errors=1', wrong)).toMatchObject({
      status: 400,
      body: {
        code: 14,
        flattened_errors: [
          {
            entity_type: 'service',
            entity_name: 'bad',
            entity_id: '6b1a63a0-4b6a-4f0e-9d8a-0f2f3a1c5b11',
            entity_tags: ['b'],
            entity: { host: 'bad.test' },
            errors: [{ type: 'field', field: 'port', message: 'value should be between 0 and 65535' }],
          },
        ],
      },
    });
    expect(await post('', 'a: [')).toMatchObject({ status: 400, body: { code: 14 } });
    expect(await admin.store.changes.serial()).toBe(before);
  });
});

describe('a document that is large', () => {
  const ofConsumers = (count: number) =>
    `_format_version: "3.0"\nconsumers:\n${Array.from({ length: count }, (_, n) => `- username: c${n}\n`).join('')}`;
  let database: Database;
  let admin: AdminServer;
  const post = (path: string, text: string) =>
    admin.send('POST', path, { body: text, headers: { 'content-type': 'application/yaml' } });

  beforeAll(async () => {
    database = await createEmbedded();
    admin = await startAdmin(database.settings, { documents: { listed: 100, room: new DocumentRoom(5_000_000) } });
  });
  afterAll(async () => {
    await admin?.close();
    await database?.drop();
  });

  it('is not listed in the answer, which says how many entities it has', async () => {
    expect(Object.keys((await post('/config', ofConsumers(100))).body.consumers ?? {})).toHaveLength(100);
    const { status, headers, body } = await post('/config', ofConsumers(101));
    expect([status, headers.get('x-holdfast-config-changes')]).toEqual([201, 'written=1, deleted=0, unchanged=100']);
    expect(body).toEqual({ message: 'the document is the config now; its 101 entities are too many to be listed' });
    expect((await admin.send('GET', '/consumers/c100')).status).toBe(200);
  });

  it('is refused where the process has no memory for it, before anything of it is stored, and others are taken', async () => {
    for (const path of ['/config', '/config/import', '/config/diff']) {
      const { status, body } = await post(path, ofConsumers(3_000));
      expect([path, status]).toEqual([path, 413]);
      expect(body.message).toMatch(/takes some \d+ MB, and this process has 5 MB .*in parts to \/config\/import/);
    }
    expect((await admin.send('GET', '/consumers/c2999')).status).toBe(404);
    // What was refused, or failed, leaves its room to the next.
    for (let times = 0; times < 4; times++) {
      expect((await post('/config', ofConsumers(1_500).replace('c7\n', 'c8\n'))).status).toBe(400);
      expect((await post('/config/import', ofConsumers(1_500))).status).toBe(200);
    }
  });

  it('is refused in JSON before it is parsed, which alone may take more than there is', async () => {
    const sent = (path: string, text: string, type = 'application/json') =>
      admin.send('POST', path, { body: text, headers: { 'content-type': type } });
    const listOf = (count: number, end: string) =>
      `{"_format_version": "3.0", "services": [[]${',[]'.repeat(count)}]${end}`;
    for (const path of ['/config', '/config/import', '/config/diff']) {
      // What is said of it otherwise is that it ends too early.
      for (const type of ['application/json', 'application/yaml'])
        expect([path, type, (await sent(path, listOf(60_000, ''), type)).status]).toEqual([path, type, 413]);
    }
    expect((await sent('/config', listOf(20_000, ''))).body.message).toBe('Cannot parse JSON body');
    const inText = { _format_version: '3.0', consumers: [{ username: `${'{[,'.repeat(20_000)}\\" {` }] };
    expect((await admin.send('POST', '/config/diff', { json: inText })).status).toBe(200);
  });

  it('is refused in YAML that would have to be read at once, and taken in parts', async () => {
    // As some tools write them, of which comments take no memory when they are read in parts.
    const long = ofConsumers(600).replaceAll('\n', `\n# ${'-'.repeat(2_000)}\n`);
    expect(long.length).toBeGreaterThan(1 << 20);
    expect((await post('/config/import', long)).status).toBe(200);
    for (const wrong of [
      `${long}services: [`,
      long.replace('c7\n', '&seven c7\n'),
      `services: [${'[],'.repeat(400_000)}]`,
    ]) {
      const { status, body } = await post('/config/import', wrong);
      expect([status, body.message]).toEqual([413, expect.stringContaining("'holdfast config parse' tells what")]);
    }
  });

  it('keeps a start or a reload that names it from succeeding, which says why', async () => {
    const room = new DocumentRoom(5_000);
    const loader = configLoader(admin.store, schemasFor('traditional_compatible', null), undefined, { room });
    const environment = { HOLDFAST_DATABASE: 'off', HOLDFAST_DECLARATIVE_CONFIG_STRING: ofConsumers(100) };
    const { settings } = loadSettings({ environment });
    const log = createLog('error', () => undefined);
    await expect(loadDeclared(loader, settings, log)).rejects.toThrow(
      /declarative_config_string.*: loading this document takes some 1 MB/s,
    );
  });

  it('waits for its turn where others have the room', () => {
    const room = new DocumentRoom(5_000);
    const done = room.take({ one: 'text' });
    expect(() => room.take({ one: {} })).toThrow(
      expect.objectContaining({ reply: expect.objectContaining({ status: 429 }) }),
    );
    done();
    done();
    room.take({ one: {} })();
  });

  it('is not even read where others have the room, or are being read', async () => {
    const room = new DocumentRoom(5_000);
    const busy = expect.objectContaining({ reply: expect.objectContaining({ status: 429 }) });
    const done = room.take({ one: 'text' });
    expect(() => room.require('{"one":{}}')).toThrow(busy);
    await expect(room.read('{"one":{}}')).rejects.toThrow(busy);
    done();
    room.require('{"one":{}}');
    const lines = Array.from({ length: 30 }, (_, n) => `n${n}: 1\n`).join('');
    const [first, second] = await Promise.allSettled([room.read(lines), room.read(lines)]);
    expect([first.status, second]).toEqual(['fulfilled', { status: 'rejected', reason: busy }]);
    expect(await room.read(lines)).toMatchObject({ n1: 1 });
  });

  it('comes out in pieces as it went in', async () => {
    await post('/config', ofConsumers(1_500));
    const { status, text } = await admin.send('GET', '/config/export');
    expect([status, text.match(/username: c\d+\n/g)?.length]).toEqual([200, 1_500]);
    expect(text.length).toBeGreaterThan(2 * (1 << 16));
    expect((await post('/config/diff', text)).body).toEqual({ data: [] });
  });
});

describe.each(drivers)('POST /config on $driver', ({ create }) => {
  it('loads two thousand entities as one serial, and takes them away as one', async () => {
    const database = await create();
    const admin = await startAdmin(database.settings);
    const services = Array.from({ length: 600 }, (_, i) => ({
      name: `s${i}`,
      url: 'http://up.test',
      routes: [{ name: `r${i}`, paths: [`/${i}`] }],
    }));
    const consumers = Array.from({ length: 600 }, (_, i) => ({
      username: `c${i}`,
      keyauth_credentials: [{ id: randomUUID(), key: `k${i}` }],
    }));
    const before = await admin.store.changes.serial();
    const { status } = await admin.send('POST', '/config', { json: { _format_version: '3.0', services, consumers } });
    expect(status).toBe(201);
    expect(await admin.store.changes.serial()).toBe(before + 1);
    expect((await admin.store.changes.delta(before))?.changes).toHaveLength(2400);

    expect((await admin.send('POST', '/config', { json: { _format_version: '3.0', services: [] } })).status).toBe(201);
    expect(await admin.store.changes.serial()).toBe(before + 2);
    expect((await admin.send('GET', '/consumers')).rows).toEqual([]);
    expect(admin.log).toEqual([
      "info: POST /config made a document the config of workspace 'default': 0 entities deleted, 2400 written, 0 unchanged",
      "warn: POST /config made a document the config of workspace 'default': 2400 entities deleted, 0 written, 0 unchanged",
    ]);
    await admin.close();
    await database.drop();
  });
});

it('takes one document of those that two control planes on one database are sent at once, and says so of the other', async () => {
  const database = await (drivers.find(({ driver }) => driver === 'postgres') ?? expect.fail('no server')).create();
  const planes = [await startAdmin(database.settings), await startAdmin(database.settings)];
  const of = (name: string) => ({
    _format_version: '3.0',
    services: Array.from({ length: 300 }, (_, i) => ({ name: `${name}-${i}`, host: 'up.test' })),
  });
  for (const round of ['first', 'second', 'third']) {
    const answers = await Promise.all(
      planes.map((plane, place) => plane.send('POST', '/config', { json: of(`${round}${place}`) })),
    );
    const stored = (await planes[0]?.send('GET', '/services?size=1000'))?.rows ?? [];
    const whose = new Set(stored.map(({ name }) => String(name).split('-')[0]));
    expect([stored.length, whose.size, [...whose][0]]).toEqual([300, 1, expect.stringContaining(round)]);
    for (const { status, headers, body } of answers.filter((answer) => answer.status !== 201)) {
      expect([status, headers.get('retry-after'), body.message]).toEqual([
        429,
        '5',
        'Currently loading previous configuration',
      ]);
    }
  }
  // Merged at once, rows that only their content tells from others would be there twice.
  const nameless = { _format_version: '3.0', routes: Array.from({ length: 200 }, (_, i) => ({ paths: [`/${i}`] })) };
  const merged = await Promise.all(planes.map((plane) => plane.send('POST', '/config/import', { json: nameless })));
  expect(merged.map(({ status }) => status)).toContain(200);
  expect((await planes[0]?.send('GET', '/routes?size=1000'))?.rows).toHaveLength(200);
  for (const plane of planes) await plane.close();
  await database.drop();
});
