import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AdminServer, startAdmin } from './admin-server.ts';
import { type Database, drivers } from './drivers.ts';
import { emptyDatabase } from './empty-database.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe.each(drivers)('the Admin API on $driver', ({ create }) => {
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
  beforeEach(() => emptyDatabase(admin));

  it('takes an entity through its life: create, read, change, replace, delete', async () => {
    const created = await admin.send('POST', '/services', { json: { name: 's1', url: 'https://example.com/a' } });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({
      id: expect.stringMatching(UUID),
      name: 's1',
      protocol: 'https',
      host: 'example.com',
      port: 443,
      path: '/a',
      retries: 5,
      tags: null,
      enabled: true,
    });
    expect(created.body).not.toHaveProperty('url');
    expect(created.body).not.toHaveProperty('ws_id');
    expect((await admin.send('GET', '/services/s1')).body).toEqual(created.body);
    expect((await admin.send('GET', `/services/${created.body.id}`)).body).toEqual(created.body);

    const changed = await admin.send('PATCH', '/services/s1', { json: { retries: 2, tags: ['blue'] } });
    expect(changed.body).toEqual({ ...created.body, retries: 2, tags: ['blue'], updated_at: expect.any(Number) });

    const replaced = await admin.send('PUT', '/services/s1', { json: { host: 'other.test' } });
    expect(replaced.status).toBe(200);
    expect(replaced.body).toMatchObject({ id: created.body.id, name: 's1', retries: 5, tags: null, port: 80 });

    expect((await admin.send('DELETE', '/services/s1')).status).toBe(204);
    expect((await admin.send('GET', '/services/s1')).body).toEqual({ message: 'Not found' });
    expect((await admin.send('DELETE', '/services/s1')).status).toBe(204);
    expect(await admin.send('PATCH', '/services/s1', { json: {} })).toMatchObject({
      status: 404,
      body: { code: 6, name: 'not found', message: `could not find the entity with '{name="s1"}'` },
    });
  });

  it('answers a plugin whose name is a record as any wrong name', async () => {
    expect(await admin.send('POST', '/plugins', { json: { name: { toString: false } } })).toMatchObject({
      status: 400,
      body: {
        code: 2,
        fields: { name: "plugin '{toString=false}' not enabled; add it to the 'plugins' configuration property" },
      },
    });
  });

  it('makes an id where it is sent as null', async () => {
    const { status, body } = await admin.send('POST', '/consumers', {
      json: { id: null, username: 'ada', tags: null },
    });
    expect(status).toBe(201);
    expect(body.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('reads form and multipart bodies by the schema, with Kong’s key syntax', async () => {
    const form = 'name=s2&host=h.test&port=8080&enabled=false&tags[1]=a&tags[2]=b&path=&retries=3&client_certificate=';
    const service = await admin.send('POST', '/services', { form });
    expect(service.body).toMatchObject({ port: 8080, enabled: false, tags: ['a', 'b'], path: null, retries: 3 });

    const parts = new FormData();
    parts.append('name', 'r2');
    parts.append('paths', '/one');
    parts.append('paths', '/two');
    parts.append('headers.x-a[]', '1');
    parts.append('headers[x-b][1]', '2');
    parts.append('service.name', 's2');
    const route = await admin.send('POST', '/routes', { body: parts });
    expect(route.body).toMatchObject({
      paths: ['/one', '/two'],
      headers: { 'x-a': ['1'], 'x-b': ['2'] },
      service: { id: service.body.id },
    });

    const plugin = await admin.send('POST', '/plugins', { form: 'name=key-auth&config.key_names=a&config.realm=r' });
    expect(plugin.body).toMatchObject({ config: { key_names: ['a'], realm: 'r', hide_credentials: false } });
    const patched = await admin.send('PATCH', `/plugins/${plugin.body.id}`, { form: 'config.hide_credentials=true' });
    expect(patched.body).toMatchObject({ config: { key_names: ['a'], realm: 'r', hide_credentials: true } });
  });

  it('walks a collection page by page, each row once, in the order of ids', async () => {
    for (let i = 0; i < 7; i++) {
      await admin.send('POST', '/consumers', { json: { username: `c${i}`, tags: [i % 2 ? 'odd' : 'even', 'all'] } });
    }
    const seen: string[] = [];
    let next = '/consumers?size=3&tags=all';
    while (next) {
      const { body, rows } = await admin.send('GET', next);
      seen.push(...rows.map((row) => String(row.id)));
      next = body.next ? String(body.next) : '';
      if (next) expect(next).toMatch(/^\/consumers\?offset=[^&]+&tags=all&size=3$/);
      else expect(body).not.toHaveProperty('offset');
    }
    expect(seen).toHaveLength(7);
    expect(seen).toEqual([...new Set(seen)].sort());

    const count = async (tags: string) => (await admin.send('GET', `/consumers?tags=${tags}`)).rows.length;
    expect(await count('odd,all')).toBe(3);
    expect(await count('odd/even')).toBe(7);
    expect(await count('odd,even')).toBe(0);
  });

  it('nests children under parents and reaches parents through children', async () => {
    const { body: service } = await admin.send('POST', '/services', { json: { name: 'p', host: 'h' } });
    const { body: route } = await admin.send('POST', '/services/p/routes', { json: { name: 'c', paths: ['/c'] } });
    expect(route.service).toEqual({ id: service.id });
    await admin.send('POST', '/routes', { json: { name: 'stranger', paths: ['/s'] } });

    expect((await admin.send('GET', '/services/p/routes')).rows).toEqual([route]);
    expect((await admin.send('GET', '/services/p/routes/c')).body).toEqual(route);
    expect((await admin.send('GET', '/services/p/routes/stranger')).status).toBe(404);
    expect((await admin.send('DELETE', '/services/p/routes/stranger')).status).toBe(404);
    expect((await admin.send('GET', '/services/none/routes')).body).toEqual({ message: 'Not found' });

    expect((await admin.send('GET', '/routes/c/service')).body).toEqual(service);
    const patched = await admin.send('PATCH', '/routes/c/service', { json: { retries: 9 } });
    expect(patched.body).toMatchObject({ id: service.id, retries: 9 });
    expect((await admin.send('DELETE', '/routes/c/service')).status).toBe(405);

    const linked = await admin.send('PUT', '/routes/stranger/service', { json: { host: 'made.test' } });
    expect(linked).toMatchObject({ status: 200, body: { host: 'made.test' } });
    expect((await admin.send('GET', '/routes/stranger')).body.service).toEqual({ id: linked.body.id });

    expect(await admin.send('DELETE', '/services/p')).toMatchObject({
      status: 400,
      body: { code: 4, fields: { '@referenced_by': 'routes' } },
    });
  });

  it('keeps credentials with their consumer, with a ttl, and takes them along when it is deleted', async () => {
    await admin.send('POST', '/consumers', { json: { username: 'ann', custom_id: 'a-1' } });
    const key = await admin.send('POST', '/consumers/ann/key-auth', { form: 'ttl=300' });
    expect(key.body).toMatchObject({ key: expect.stringMatching(/^[A-Za-z0-9]{32}$/), ttl: 299 });
    expect((await admin.send('GET', `/key-auths/${key.body.key}/consumer`)).body.username).toBe('ann');
    expect((await admin.send('GET', '/consumers?custom_id=a-1')).rows[0]?.username).toBe('ann');
    expect((await admin.send('GET', '/consumers?custom_id=')).body.message).toBe('custom_id must be an unempty string');
    expect((await admin.send('DELETE', '/consumers/ann')).status).toBe(204);
    expect((await admin.send('GET', '/key-auths')).rows).toEqual([]);
  });

  it('keeps workspaces apart under the same paths', async () => {
    expect((await admin.send('POST', '/workspaces', { json: { name: 'team-a' } })).status).toBe(201);
    const theirs = await admin.send('POST', '/team-a/services', { json: { name: 'same', host: 'a.test' } });
    const ours = await admin.send('POST', '/services', { json: { name: 'same', host: 'd.test' } });
    expect([theirs.status, ours.status]).toEqual([201, 201]);
    expect((await admin.send('GET', '/team-a/services/same')).body.host).toBe('a.test');
    expect((await admin.send('GET', '/default/services/same')).body.host).toBe('d.test');
    expect((await admin.send('GET', `/services/${theirs.body.id}`)).status).toBe(404);
    // A list goes on where it began.
    await admin.send('POST', '/team-a/services', { json: { name: 'second', host: 'a.test' } });
    const first = await admin.send('GET', '/team-a/services?size=1');
    const second = await admin.send('GET', String(first.body.next));
    expect([...first.rows, ...second.rows].map(({ name }) => name).sort()).toEqual(['same', 'second']);
    expect(await admin.send('GET', '/team-b/services')).toMatchObject({
      status: 404,
      body: { message: "Workspace 'team-b' not found" },
    });
    expect((await admin.send('POST', '/workspaces', { json: { name: 'services' } })).status).toBe(400);
    expect((await admin.send('PATCH', '/workspaces/team-a', { json: { name: 'team-z' } })).status).toBe(400);
    expect((await admin.send('DELETE', '/workspaces/default')).status).toBe(400);
  });

  it.each([
    ['a required field', '/services', { name: 'x' }, { host: 'required field missing' }],
    ['an unknown field', '/services', { host: 'h', hots: 1 }, { hots: 'unknown field' }],
    ['a port out of range', '/services', { host: 'h', port: 70000 }, { port: 'value should be between 0 and 65535' }],
    ['a text for a number', '/services', { host: 'h', port: 'NaN' }, { port: 'expected an integer' }],
    ['a broken regex', '/routes', { paths: ['~/a('] }, { paths: [expect.stringContaining('invalid regex')] }],
    [
      'a name of a megabyte with a space',
      '/services',
      { host: 'h', name: `${'n'.repeat(1 << 20)} ` },
      { name: expect.stringContaining('invalid value') },
    ],
    ['a bare reference', '/routes', { paths: ['/'], service: 'x' }, { service: expect.anything() }],
    ['a plugin that is none', '/plugins', { name: 'no' }, { name: expect.stringContaining("plugin 'no' not enabled") }],
  ])('refuses %s in Kong’s shape and stores nothing', async (_, path, json, fields) => {
    const answer = await admin.send('POST', path, { json });
    expect(answer).toMatchObject({ status: 400, body: { code: 2, name: 'schema violation', fields } });
    expect((await admin.send('GET', path)).rows).toEqual([]);
  });

  it('refuses what other rows forbid: taken names, taken ids, dangling references', async () => {
    const { body } = await admin.send('POST', '/services', { json: { name: 's', host: 'h' } });
    expect(await admin.send('POST', '/services', { json: { name: 's', host: 'h' } })).toMatchObject({
      status: 409,
      body: { code: 5, message: `UNIQUE violation detected on '{name="s"}'`, fields: { name: 's' } },
    });
    expect(await admin.send('POST', '/services', { json: { id: body.id, host: 'h' } })).toMatchObject({
      status: 400,
      body: { code: 3 },
    });
    const dangling = '00000000-0000-4000-8000-000000000000';
    expect(await admin.send('POST', '/routes', { json: { paths: ['/'], service: { id: dangling } } })).toMatchObject({
      status: 400,
      body: { code: 4, fields: { service: { id: dangling } } },
    });
    expect(await admin.send('POST', '/routes', { json: { paths: ['/'], service: { name: 'no' } } })).toMatchObject({
      status: 400,
      body: { code: 13, name: 'foreign keys unresolved' },
    });
    expect((await admin.send('GET', '/routes')).rows).toEqual([]);
  });

  it.each([
    ['a field its parent does not have', { json: { naem: 's' } }, { naem: 'unknown field' }],
    [
      'a value its parent cannot have',
      { json: { protocol: 'foo' } },
      { protocol: expect.stringContaining('expected one of') },
    ],
    ['nothing of its parent', { json: { retries: 5 } }, { id: 'missing primary key' }],
    ['an empty name in a form', { form: 'service.name=' }, { id: 'missing primary key' }],
  ])('tells of a reference what is wrong when it has %s', async (_, service, fields) => {
    const body =
      'json' in service ? { json: { paths: ['/'], service: service.json } } : { form: `paths[]=/&${service.form}` };
    expect(await admin.send('POST', '/routes', body)).toMatchObject({
      status: 400,
      body: { code: 2, fields: { service: fields } },
    });
  });

  it.each([
    ['size=abc', 9, 'size must be a number'],
    ['size=0', 9, 'size must be an integer between 1 and 1000'],
    ['size=1.5', 9, 'size must be an integer between 1 and 1000'],
    ['offset=%25', 7, "'%' is not a valid offset: bad base64 encoding"],
    ['offset=x', 7, "'x' is not a valid offset: bad base64 encoding"],
    ['offset=abcd', 7, "'abcd' is not a valid offset: bad json encoding"],
    ['tags=', 11, 'invalid option (tags: cannot be null)'],
    ['tags=a,b/c', 11, 'invalid option (tags: invalid filter syntax)'],
    ['tags=a,b,c,d,e,f', 11, 'invalid option (tags: cannot query more than 5 tags)'],
  ])('refuses to list by %s', async (query, code, message) => {
    expect(await admin.send('GET', `/services?${query}`)).toMatchObject({ status: 400, body: { code, message } });
  });

  it('lists tags with the entities that carry them, and writes none by themselves', async () => {
    const { body } = await admin.send('POST', '/services', { json: { host: 'h', tags: ['red', 'b'] } });
    const { body: consumer } = await admin.send('POST', '/consumers', { json: { username: 'u', tags: ['red'] } });
    const red = await admin.send('GET', '/tags/red');
    expect(red.rows.map((item) => [item.entity_name, item.entity_id, item.tag]).sort()).toEqual([
      ['consumers', consumer.id, 'red'],
      ['services', body.id, 'red'],
    ]);
    expect((await admin.send('GET', '/tags')).rows).toHaveLength(3);
    expect((await admin.send('POST', '/tags', { json: {} })).body).toMatchObject({ code: 2 });
  });
});
