import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type AdminServer, startAdmin } from './admin-server.ts';
import { createEmbedded, type Database } from './drivers.ts';

const TEXT = `
_format_version: "3.0"
services:
  - name: s1
    url: http://one.test
    routes: [{ name: r1, paths: [/one] }]
consumers: [{ username: ada, keyauth_credentials: [{ key: open-sesame }] }]
upstreams: [{ name: u1, targets: [{ target: "up.test:80" }] }]
`;
const EMPTY = '0'.repeat(32);

let database: Database;
let admin: AdminServer;

const hash = async () => (await admin.send('GET', '/status')).body.configuration_hash;
const yaml = (query: string, body: string) =>
  admin.send('POST', `/config${query}`, { body, headers: { 'content-type': 'text/yaml' } });

beforeAll(async () => {
  database = await createEmbedded();
  admin = await startAdmin(database.settings, { environment: { HOLDFAST_DATABASE: 'off' } });
});
afterAll(async () => {
  await admin?.close();
  await database?.drop();
});

it('begins with an empty config, and takes one in each form Kong takes, giving it back as Kong does', async () => {
  expect((await admin.send('GET', '/status')).body).not.toHaveProperty('database');
  expect(await hash()).toBe(EMPTY);
  expect((await admin.send('GET', '/')).body.configuration).toMatchObject({ database: 'off', pg_host: null });
  expect((await admin.send('GET', '/config')).body).toEqual({
    config: expect.stringMatching(/^_format_version: "?'?3\.0"?'?\n_transform: false\n$/),
  });

  const form = new FormData();
  form.set('config', new Blob([TEXT]), 'kong.yml');
  const forms = [
    await yaml('', TEXT),
    await admin.send('POST', '/config', { form: new URLSearchParams({ config: TEXT }).toString() }),
    await admin.send('POST', '/config', { body: form }),
    await admin.send('POST', '/config', { json: { config: TEXT } }),
    await admin.send('POST', '/config', { json: { _format_version: '3.0', services: [{ name: 's1', host: 'h' }] } }),
  ];
  for (const { status, body } of forms) {
    expect(status).toBe(201);
    expect(Object.values(body.services ?? {})).toMatchObject([{ name: 's1', port: 80 }]);
  }
  expect((await admin.send('GET', '/consumers')).rows).toEqual([]);
  expect((await yaml('?check_hash=1', TEXT)).status).toBe(201);
  expect(await yaml('?check_hash=1', TEXT)).toMatchObject({ status: 304, text: '' });
  expect(await hash()).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
  const { config } = (await admin.send('GET', '/config')).body;
  expect((await yaml('', String(config))).headers.get('x-holdfast-config-changes')).toMatch(/deleted=0,/);

  expect((await yaml('?flatten_errors=1', 'services: [{ name: s1, host: a, port: 70000 }]')).body).toMatchObject({
    code: 14,
    flattened_errors: [{ entity_name: 's1', errors: [{ field: 'port' }] }],
  });
  expect((await admin.send('POST', '/config', { json: {} })).body).toEqual({
    message: 'expected a declarative configuration',
  });
});

it('refuses every write of an entity in the words of Kong, after what is wrong with the write itself', async () => {
  expect((await yaml('', TEXT)).status).toBe(201);
  const before = await admin.store.changes.serial();
  const id = randomUUID();
  const refused = [
    ['POST', '/services', { host: 'h' }, "create 'services' entities"],
    // Taken, and of a parent that is not there: without a database Kong never gets to that.
    ['POST', '/services', { name: 's1', host: 'h' }, "create 'services' entities"],
    ['POST', '/routes', { paths: ['/'], service: { id } }, "create 'routes' entities"],
    ['PUT', `/routes/${id}`, { paths: ['/'] }, "create or update 'routes' entities"],
    ['PUT', '/services/s2', { host: 'h' }, "create or update 'services' entities by 'name'"],
    ['PATCH', '/services/s1', { retries: 1 }, "update 'services' entities"],
    ['DELETE', '/services/s1', null, "remove 'services' entities"],
    ['POST', '/services/s1/plugins', { name: 'cors' }, "create 'plugins' entities"],
    ['POST', '/consumers/ada/acls', { group: 'g' }, "create 'acls' entities"],
    ['POST', '/upstreams/u1/targets', { target: 'b.test:80' }, "create 'targets' entities"],
    ['DELETE', '/upstreams/u1/targets/up.test:80', null, "remove 'targets' entities"],
    ['POST', '/consumer_groups', { name: 'g' }, "create 'consumer_groups' entities"],
    ['POST', '/workspaces', { name: 'team' }, "create 'workspaces' entities"],
  ] as const;
  for (const [method, path, json, what] of refused) {
    const { status, body, headers } = await admin.send(method, path, json === null ? {} : { json });
    expect({ path, status, body }).toEqual({
      path,
      status: 405,
      body: {
        code: 12,
        name: 'operation unsupported',
        message: expect.stringMatching(new RegExp(`^cannot ${what}( by '\\w+')? when not using a database$`)),
      },
    });
    expect(headers.get('allow')).toBe('GET, HEAD, OPTIONS');
  }
  expect((await admin.send('POST', '/services', { json: { host: 1 } })).body).toMatchObject({ code: 2 });
  expect((await admin.send('PATCH', '/services/none', { json: { retries: 1 } })).status).toBe(404);
  expect((await admin.send('DELETE', `/services/${id}`)).status).toBe(204);
  expect(await admin.send('PUT', '/services', { json: {} })).toMatchObject({
    status: 405,
    body: { message: 'Method not allowed' },
  });
  expect(await admin.send('POST', '/config/import', { json: { config: TEXT } })).toMatchObject({
    status: 405,
    body: { code: 12, message: expect.stringContaining('send the whole document to /config') },
  });
  expect(await admin.store.changes.serial()).toBe(before);
  expect((await admin.send('GET', '/services/s1/routes')).rows).toMatchObject([{ name: 'r1' }]);
});
