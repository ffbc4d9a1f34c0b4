import { afterAll, beforeAll, expect, it } from 'vitest';
import { type AdminServer, startAdmin } from './admin-server.ts';
import { createEmbedded, type Database } from './drivers.ts';

const NOT_ENABLED = "plugin 'acl' not enabled; add it to the 'plugins' configuration property";

let database: Database;
let admin: AdminServer;

beforeAll(async () => {
  database = await createEmbedded();
  // What a control plane with other data planes has written.
  const before = await startAdmin(database.settings);
  await before.send('PUT', '/services/s', { json: { host: 'h' } });
  await before.send('POST', '/plugins', { json: { name: 'acl', instance_name: 'old', config: { allow: ['a'] } } });
  await before.close();
  admin = await startAdmin(database.settings, { plugins: new Set(['key-auth', 'cors']) });
});
afterAll(async () => {
  await admin?.close();
  await database?.drop();
});

it.each([
  ['POST', '/plugins'],
  ['PUT', '/plugins/other'],
  ['POST', '/services/s/plugins'],
  ['POST', '/schemas/plugins/validate'],
] as const)(
  '%s %s refuses a plugin that the data plane of this instance does not have, as Kong does',
  async (method, path) => {
    const plugin = { name: 'acl', config: { allow: ['a'] } };
    expect(await admin.send(method, path, { json: plugin })).toMatchObject({
      status: 400,
      body: {
        code: 2,
        name: 'schema violation',
        message: `schema violation (name: ${NOT_ENABLED})`,
        fields: { name: NOT_ENABLED },
      },
    });
    const form = 'name=acl&config.allow=a';
    expect(await admin.send(method, path, { form })).toMatchObject({
      status: 400,
      body: { fields: { name: NOT_ENABLED } },
    });
  },
);

it('POST /config refuses it and changes nothing', async () => {
  const document = { _format_version: '3.0', services: [{ name: 't', host: 'h', plugins: [{ name: 'acl' }] }] };
  const answer = await admin.send('POST', '/config', { json: document });
  expect(answer).toMatchObject({ status: 400, body: { code: 14 } });
  expect(answer.text).toContain(NOT_ENABLED);
  expect((await admin.send('GET', '/services')).rows.map(({ name }) => name)).toEqual(['s']);
});

it('lists only what can be configured', async () => {
  expect((await admin.send('GET', '/plugins/enabled')).body.enabled_plugins).toEqual(['cors', 'key-auth']);
  expect((await admin.send('GET', '/')).body.plugins).toMatchObject({
    available_on_server: { cors: { version: '3.9.3' }, 'key-auth': { version: '3.9.3' } },
  });
  expect((await admin.send('GET', '/')).text).not.toContain('"rate-limiting"');
});

it('shows, refuses to change, and deletes one that is there already', async () => {
  expect((await admin.send('GET', '/plugins')).rows).toMatchObject([{ name: 'acl', config: { allow: ['a'] } }]);
  const changed = await admin.send('PATCH', '/plugins/old', { json: { enabled: false } });
  expect(changed).toMatchObject({ status: 400, body: { fields: { name: NOT_ENABLED } } });
  expect((await admin.send('DELETE', '/plugins/old')).status).toBe(204);
  expect((await admin.send('POST', '/plugins', { json: { name: 'cors' } })).status).toBe(201);
});
