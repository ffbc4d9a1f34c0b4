import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeConfiguration } from '../../../cp/admin/node/configuration.ts';
import { loadSettings } from '../../../cp/settings/load.ts';
import { authority } from '../pki/authority.ts';
import { type AdminServer, startAdmin } from './admin-server.ts';
import { createEmbedded, type Database } from './drivers.ts';

const UNUSABLE_BYTES = 'the path holds bytes that are no UTF-8, or U+0000: no name has them';
const invalidName = (name: string) =>
  `invalid value '${name}': the only accepted ascii characters are alphanumerics or ., -, _, and ~`;

describe('conventions of the Admin API', () => {
  let database: Database;
  let admin: AdminServer;

  beforeAll(async () => {
    database = await createEmbedded();
    admin = await startAdmin(database.settings);
  });
  afterAll(async () => {
    await admin?.close();
    await database?.drop();
  });

  it('answers with Kong’s headers, errors too', async () => {
    for (const path of ['/', '/services', '/nowhere']) {
      const { headers, text } = await admin.send('GET', path);
      expect(headers.get('server')).toBe('kong/3.9.3');
      expect(headers.get('x-kong-admin-latency')).toMatch(/^\d+$/);
      expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
      expect(Number(headers.get('content-length'))).toBe(Buffer.byteLength(text));
    }
  });

  it('answers OPTIONS with the methods of the path', async () => {
    const collection = await admin.send('OPTIONS', '/services');
    expect(collection.status).toBe(204);
    expect(collection.headers.get('allow')).toBe('GET, HEAD, OPTIONS, POST');
    expect(collection.headers.get('access-control-allow-methods')).toBe('GET, HEAD, OPTIONS, POST');
    expect(collection.headers.get('access-control-allow-headers')).toBe('Content-Type');
    const row = await admin.send('OPTIONS', '/services/x', {
      headers: { 'access-control-request-headers': 'X-A, X-B' },
    });
    expect(row.headers.get('allow')).toBe('DELETE, GET, HEAD, OPTIONS, PATCH, PUT');
    expect(row.headers.get('access-control-allow-headers')).toBe('X-A, X-B');
  });

  it('changes a row only while it is what If-Match says, whichever way it is written and whoever writes at once', async () => {
    await admin.send('POST', '/upstreams', { json: { name: 'matched' } });
    const rows = [
      ['/services/matched', { host: 'h' }, { retries: 1 }],
      ['/upstreams/matched/targets/10.0.0.1:80', {}, { weight: 1 }],
      ['/consumers/matched/key-auth/matched', { key: 'matched' }, { tags: ['a'] }],
    ] as const;
    await admin.send('POST', '/upstreams/matched/targets', { json: { target: '10.0.0.1:80' } });
    await admin.send('PUT', '/consumers/matched', { json: {} });
    for (const [path, made, changed] of rows) {
      if (!path.includes('targets')) await admin.send('PUT', path, { json: made });
      const tag = async () => (await admin.send('GET', path)).headers.get('etag') ?? expect.fail(`${path} has no tag`);
      const first = await tag();
      expect(await tag(), path).toBe(first);
      const write = async (method: 'PATCH' | 'PUT' | 'DELETE', match: string, json: object = changed) =>
        admin.send(method, path, {
          ...(method !== 'DELETE' && { body: JSON.stringify(json) }),
          headers: { 'if-match': match, 'content-type': 'application/json' },
        });
      // Of two that have read the same only one can write, also in the same moment.
      const both = await Promise.all([write('PATCH', first), write('PATCH', `"x", ${first}`, { tags: ['b'] })]);
      expect(both.map(({ status }) => status).sort(), path).toEqual([200, 412]);
      const second = both.find(({ status }) => status === 200)?.headers.get('etag');
      expect(second, path).toBe(await tag());
      for (const method of ['PATCH', 'PUT', 'DELETE'] as const) {
        for (const stale of [first, `W/${second}`, '""']) {
          const refused = await write(method, stale);
          expect([refused.status, refused.body.message], `${method} ${path}`).toEqual([
            412,
            expect.stringContaining('read it again'),
          ]);
        }
      }
      expect((await write('PATCH', '*', { tags: ['c'] })).status, path).toBe(200);
      expect((await write('DELETE', await tag())).status, path).toBe(204);
    }
    const none = await admin.send('PUT', '/services/matched', {
      body: '{"host":"h"}',
      headers: { 'if-match': '*', 'content-type': 'application/json' },
    });
    expect(none.status).toBe(412);
    // A row that is reached in another way is the same row.
    await admin.send('PUT', '/services/matched', { json: { host: 'h' } });
    await admin.send('PUT', '/routes/matched', { json: { paths: ['/'], service: { name: 'matched' } } });
    await admin.send('PUT', '/workspaces/matched', { json: {} });
    const { cert, key } = await (await authority('ca')).leaf({ name: 'matched.test' });
    const certificate = await admin.send('POST', '/certificates', { json: { cert, key, snis: ['matched.test'] } });
    const bySni = '/certificates/matched.test';
    const tagOf = async (path: string) => (await admin.send('GET', path)).headers.get('etag');
    expect(await tagOf('/routes/matched/service')).toBe(await tagOf('/services/matched'));
    expect(await tagOf(bySni)).toBe(await tagOf(`/certificates/${certificate.body.id}`));
    expect(await tagOf(bySni)).not.toBeNull();
    const byOthers = [
      ['PATCH', '/routes/matched/service', { host: 'other' }],
      ['PUT', '/routes/matched/service', { name: 'matched', host: 'other' }],
      ['PATCH', bySni, { tags: ['other'] }],
      ['DELETE', '/workspaces/matched', undefined],
    ] as const;
    for (const [method, path, json] of byOthers) {
      const write = (match: string) =>
        admin.send(method, path, {
          ...(json !== undefined && { body: JSON.stringify(json) }),
          headers: { 'if-match': match, 'content-type': 'application/json' },
        });
      expect((await write('"stale"')).status, `${method} ${path}`).toBe(412);
      expect((await write((await tagOf(path)) ?? '')).status, `${method} ${path}`).toBe(json === undefined ? 204 : 200);
    }
    const rest = ['/routes/matched', '/services/matched', bySni, '/upstreams/matched', '/consumers/matched'];
    for (const path of rest) await admin.send('DELETE', path);
  });

  it('says with a 405 which methods are taken', async () => {
    expect((await admin.send('DELETE', '/services')).headers.get('allow')).toBe('GET, HEAD, OPTIONS, POST');
    await admin.send('POST', '/services', { json: { name: 's', host: 'h' } });
    await admin.send('POST', '/services/s/routes', { json: { name: 'r', paths: ['/'] } });
    const parent = await admin.send('DELETE', '/routes/r/service');
    expect([parent.status, parent.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS, PATCH, PUT']);
    await admin.send('DELETE', '/routes/r');
    await admin.send('DELETE', '/services/s');
  });

  it('answers HEAD as GET without the body', async () => {
    const get = await admin.send('GET', '/services');
    const head = await admin.send('HEAD', '/services');
    expect([head.status, head.text]).toEqual([200, '']);
    expect(head.headers.get('content-length')).toBe(get.headers.get('content-length'));
  });

  it.each([
    ['GET', '/nowhere', 404, { message: 'Not found' }],
    ['GET', '/services/x/y/z', 404, { message: 'Not found' }],
    ['DELETE', '/services', 405, { message: 'Method not allowed' }],
    ['POST', '/services/x', 405, { message: 'Method not allowed' }],
    ['GET', '/services/', 200, { data: [], next: null }],
    ['GET', '/consumers/%zz', 404, { message: 'Not found' }],
    ['GET', '/services/%ff%fe', 400, { message: UNUSABLE_BYTES }],
    ['GET', '/consumers/a%2Fb', 404, { message: 'Not found' }],
    ['GET', '/consumers/%00', 400, { message: UNUSABLE_BYTES }],
    // No row can have these names.
    ['GET', '/services/%zz', 400, { code: 10, name: 'invalid unique name', message: invalidName('%zz') }],
    ['DELETE', '/services/a%2Fb', 400, { code: 10, message: invalidName('a/b') }],
    ['GET', '/services/a%20b/routes', 400, { code: 10, message: invalidName('a b') }],
    ['PUT', '/upstreams/1.2.3.4', 400, { code: 10, message: "Invalid name ('1.2.3.4'); no ip addresses allowed" }],
    ['GET', '/certificates/1.2.3.4', 400, { code: 10, message: 'must not be an IP' }],
    ['GET', '/clustering/data-planes', 400, { message: expect.stringContaining('Control Plane') }],
    ['GET', '/filter-chains', 400, { message: 'this endpoint is only available when wasm is enabled' }],
    ['DELETE', '/routes/r/filter-chains/f', 400, { message: expect.stringContaining('wasm') }],
    ['GET', '/config', 400, { message: expect.stringContaining('not use a database') }],
    ['GET', '/status/dns', 200, { worker: { id: 0, count: 1 }, stats: {} }],
  ])('%s %s is %i', async (method, path, status, body) => {
    expect(await admin.send(method, path)).toMatchObject({ status, body });
  });

  it.each([
    [
      'a type it does not take',
      { body: 'x', headers: { 'content-type': 'text/plain' } },
      415,
      '<h1>415 Unsupported Media Type</h1>',
    ],
    ['a body without a type', { body: new Uint8Array([123, 125]) }, 415, '<h1>415 Unsupported Media Type</h1>'],
    [
      'YAML outside /config',
      { body: 'a: 1', headers: { 'content-type': 'application/yaml' } },
      415,
      '<h1>415 Unsupported Media Type</h1>',
    ],
    [
      'an empty JSON body',
      { body: '', headers: { 'content-type': 'application/json' } },
      400,
      'Cannot parse JSON body',
    ],
    ['cut off JSON', { body: '{"host":', headers: { 'content-type': 'application/json' } }, 400, 'Cannot parse'],
    ['JSON that is no object', { body: '"x"', headers: { 'content-type': 'application/json' } }, 400, 'Cannot parse'],
    ['a list', { body: '[1]', headers: { 'content-type': 'application/json' } }, 400, 'Cannot parse'],
    [
      'a body that is not UTF-8',
      {
        body: Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d),
        headers: { 'content-type': 'application/json' },
      },
      400,
      'UTF-8',
    ],
    [
      'a form nested too deep to walk',
      {
        body: `name${'.a'.repeat(50_000)}${'[a]'.repeat(50_000)}=1`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      },
      400,
      'levels deep',
    ],
    [
      'a form that is not UTF-8',
      { body: 'host=%ff', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      400,
      'UTF-8',
    ],
    [
      'a form of 1001 arguments',
      { body: 'a=1&'.repeat(1001), headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      400,
      'Too many arguments',
    ],
    [
      'a multipart body that is none',
      { body: 'xx', headers: { 'content-type': 'multipart/form-data; boundary=b' } },
      400,
      'multipart',
    ],
    [
      'a character no database keeps',
      { body: '{"host":"a\\u0000b"}', headers: { 'content-type': 'application/json' } },
      400,
      'cannot be stored',
    ],
    [
      'half a surrogate pair',
      { body: '{"host":"h","tags":["\\ud800"]}', headers: { 'content-type': 'application/json' } },
      400,
      'cannot be stored',
    ],
    [
      'JSON nested a million deep',
      { body: '['.repeat(1e6), headers: { 'content-type': 'application/json' } },
      400,
      'Cannot parse',
    ],
    [
      'a prototype for its row',
      { body: '{"host":"h","__proto__":{"name":"x"}}', headers: { 'content-type': 'application/json' } },
      400,
      'unknown field',
    ],
    [
      'a prototype in a form',
      { body: 'host=h&__proto__.name=x', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      400,
      'unknown field',
    ],
    [
      '11 megabytes',
      { body: `{"host":"${'h'.repeat(11 << 20)}"}`, headers: { 'content-type': 'application/json' } },
      413,
      'Payload too large',
    ],
  ])('refuses %s, stores nothing and stays up', async (_, init, status, text) => {
    const answer = await admin.send('POST', '/services', init);
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(text);
    expect((await admin.send('GET', '/services')).rows).toEqual([]);
    expect(admin.log).toEqual([]);
  });

  it('takes a multipart body without parts for no arguments', async () => {
    const headers = { 'content-type': 'multipart/form-data' };
    const answer = await admin.send('POST', '/services', { body: '', headers });
    expect(answer).toMatchObject({ status: 400, body: { fields: { host: 'required field missing' } } });
  });

  it('refuses two Content-Type headers', async () => {
    const headers = new Headers({ 'content-type': 'application/json' });
    headers.append('content-type', 'text/plain');
    const answer = await admin.send('POST', '/services', { body: '{}', headers });
    expect(answer).toMatchObject({ status: 400, text: 'Multiple Content-Type headers not allowed' });
  });

  it('counts and limits a body of unknown length as it arrives', async () => {
    const chunk = new Uint8Array(1 << 20).fill(0x20);
    let sent = 0;
    const body = new ReadableStream({
      pull: (controller) => (sent++ < 64 ? controller.enqueue(chunk) : controller.close()),
    });
    const headers = { 'content-type': 'application/json' };
    const answer = await admin
      .send('POST', '/services', { body, headers, duplex: 'half' })
      .then(({ status }) => status)
      // The server may close the connection while the rest is still being sent.
      .catch(() => 413);
    expect(answer).toBe(413);
    expect((await admin.send('GET', '/services')).status).toBe(200);
  });

  it('says what it is: Kong’s version to Kong’s clients, and its own', async () => {
    const { body } = await admin.send('GET', '/');
    expect(body).toMatchObject({
      version: '3.9.3',
      edition: 'community',
      tagline: 'Welcome to kong',
      hostname: 'cp.test',
      plugins: { available_on_server: { 'key-auth': { priority: 1250, version: '3.9.3' } }, enabled_in_cluster: [] },
      configuration: {
        database: 'postgres',
        // There is no server to name where the database is embedded.
        pg_host: null,
        role: 'traditional',
        router_flavor: 'traditional_compatible',
        proxy_listeners: [{ ip: '0.0.0.0', port: 8000, ssl: false }],
      },
      holdfast: { version: '0.0.0' },
    });
    // What clients that work in a workspace ask instead.
    expect((await admin.send('GET', '/default/kong')).body).toMatchObject({ version: '3.9.3', node_id: body.node_id });
    expect((await admin.send('GET', '/nowhere/kong')).status).toBe(404);
  });

  it('names no listener for clients where it is a control plane alone, which opens none', () => {
    const environment = {
      HOLDFAST_ROLE: 'control_plane',
      HOLDFAST_PROXY_LISTEN: '0.0.0.0:8000',
      HOLDFAST_STREAM_LISTEN: '0.0.0.0:9000',
      HOLDFAST_CLUSTER_CERT: 'cluster.crt',
      HOLDFAST_CLUSTER_CERT_KEY: 'cluster.key',
      HOLDFAST_BUNDLE_SIGNING_KEY: 'bundle-signing.key',
    };
    expect(describeConfiguration(loadSettings({ environment }).settings, 'notice')).toMatchObject({
      role: 'control_plane',
      proxy_listen: ['off'],
      proxy_listeners: [],
      stream_listen: ['off'],
      stream_listeners: [],
      admin_listeners: [expect.objectContaining({ port: 8001 })],
    });
  });

  it('tells its state, with memory in the unit asked for', async () => {
    const { body } = await admin.send('GET', '/status');
    expect(body).toMatchObject({ database: { reachable: true }, server: { total_requests: expect.any(Number) } });
    const heap = (size: unknown) => ({ memory: { workers_lua_vms: [{ http_allocated_gc: size }] } });
    expect(body).toMatchObject(heap(expect.stringMatching(/^\d+\.\d{2} MiB$/)));
    expect((await admin.send('GET', '/status?unit=b')).body).toMatchObject(heap(expect.any(Number)));
    expect((await admin.send('GET', '/status?unit=x')).status).toBe(400);
    const counts = { total: expect.any(Number), runs: 0, running: 0, pending: expect.any(Number) };
    const flamegraph = { running: '', pending: '', elapsed_time: '' };
    expect((await admin.send('GET', '/timers')).body).toMatchObject({
      worker: { id: 0, count: 1 },
      stats: { sys: counts, flamegraph, timers: {} },
    });
  });

  it('shows schemas as Kong does and validates against them without storing', async () => {
    const { body } = await admin.send('GET', '/schemas/services');
    expect(body.fields).toContainEqual({ name: expect.objectContaining({ type: 'string', unique: true }) });
    expect((await admin.send('GET', '/schemas/plugins/key-auth')).body.entity_checks).toEqual([]);
    expect(await admin.send('GET', '/schemas/none')).toMatchObject({
      status: 404,
      body: { message: "No entity named 'none'" },
    });
    expect((await admin.send('GET', '/schemas/plugins/none')).body.message).toBe("No plugin named 'none'");
    const good = { name: 'key-auth', config: { key_names: ['k'] } };
    expect(await admin.send('POST', '/schemas/plugins/validate', { json: good })).toMatchObject({
      status: 200,
      body: { message: 'schema validation successful' },
    });
    expect(await admin.send('POST', '/schemas/services/validate', { json: {} })).toMatchObject({
      status: 400,
      body: { code: 2, fields: { host: 'required field missing' } },
    });
    expect((await admin.send('GET', '/plugins')).rows).toEqual([]);
  });

  it('lists its own paths, "/" sorting lowest', async () => {
    const { data } = (await admin.send('GET', '/endpoints')).body;
    const paths: unknown[] = Array.isArray(data) ? data : [];
    expect(paths[0]).toBe('/');
    expect(paths).toContain('/services/{services}/routes/{routes}');
    expect(paths.indexOf('/services/{services}/routes')).toBeLessThan(paths.indexOf('/status'));
  });
});
