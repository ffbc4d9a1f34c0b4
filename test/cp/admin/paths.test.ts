import { request } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mustBeRecord } from '../../../shared/record.ts';
import { type AdminServer, startAdmin } from './admin-server.ts';
import { createEmbedded, type Database } from './drivers.ts';

let database: Database;
let admin: AdminServer;

beforeAll(async () => {
  database = await createEmbedded();
  admin = await startAdmin(database.settings);
  await admin.send('POST', '/services', { json: { name: 'victim', host: 'h' } });
  await admin.send('POST', '/consumers', { json: { username: 'c' } });
  await admin.send('PUT', '/workspaces/other', { json: {} });
});
afterAll(async () => {
  await admin?.close();
  await database?.drop();
});

/** `fetch` takes dot segments out of a path; this sends it as it is. */
function sendAsIs(
  method: string,
  path: string,
): Promise<{ readonly status: number | undefined; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const sent = request(admin.url, { method, path, headers }, async (response) => {
      let text = '';
      for await (const chunk of response) text += String(chunk);
      resolve({ status: response.statusCode, text });
    });
    sent.on('error', reject);
    sent.end(method === 'PUT' || method === 'PATCH' ? '{"host":"evil.test"}' : undefined);
  });
}

it.each([
  ['DELETE', '/consumers/%2E%2E/services/victim'],
  ['DELETE', '/consumers/../services/victim'],
  ['DELETE', '/consumers/.%2e/services/victim'],
  ['DELETE', '/consumers/%2E/../services/victim/'],
  ['PATCH', '/other/../services/victim'],
  ['PUT', '/%2e%2e/services/victim'],
  ['DELETE', '/services/victim/%2E'],
  ['DELETE', '/services/victim/plugins/%2E%2E'],
  ['PUT', '/services/%2E%2E'],
  ['GET', '/consumers/%2E%2E/services/victim'],
  ['GET', '/./services'],
])('%s %s is refused, and touches nothing', async (method, path) => {
  const { status, text } = await sendAsIs(method, path);
  expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining("segment '.' or '..'") });
  expect((await admin.send('GET', '/services/victim')).body).toMatchObject({ name: 'victim', host: 'h' });
});

it('looks a row of such a name up, and lists nothing instead', async () => {
  for (const path of ['/consumers/%2E', '/consumers/%2E%2E', '/consumers/..', '/services/%2e'])
    expect(await sendAsIs('GET', path)).toEqual({ status: 404, text: '{"message":"Not found"}' });
  const { body } = await admin.send('POST', '/consumers', { json: { username: '..' } });
  expect(JSON.parse((await sendAsIs('GET', '/consumers/%2E%2E')).text)).toMatchObject({ id: body.id });
  expect((await sendAsIs('DELETE', '/consumers/%2E%2E')).status).toBe(400);
  expect((await sendAsIs('DELETE', `/consumers/${body.id}`)).status).toBe(204);
});

it('leaves dots that are no segments to names', async () => {
  for (const name of ['...', '.a', 'a..', 'a.b'])
    expect(await sendAsIs('PUT', `/services/${name}`)).toMatchObject({ status: 200 });
  expect((await sendAsIs('GET', `${admin.url}/services/a..?x=/../`)).status).toBe(200);
});

it.each(['/consumers/%ff', '/consumers/a%00b', '/services/%C3%28', '/%ff/services'])(
  'refuses the bytes of %s',
  async (path) => {
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE'])
      expect(await sendAsIs(method, path)).toMatchObject({ status: 400, text: expect.stringContaining('no UTF-8') });
    expect((await admin.send('GET', '/consumers')).body).toMatchObject({ data: [{ username: 'c' }] });
  },
);

it('refuses what is no filter for tags in nested lists, too, which it does not filter', async () => {
  for (const [path, status] of [
    ['/services/victim/routes?tags=a,b/c', 400],
    ['/services/victim/routes?tags=a', 200],
  ] as const)
    expect((await sendAsIs('GET', path)).status).toBe(status);
});

it('says nothing of a consumer group in the key of a plugin that has none', async () => {
  const twice = { json: { name: 'cors' } };
  await admin.send('POST', '/services/victim/plugins', twice);
  const { body } = await admin.send('POST', '/services/victim/plugins', twice);
  expect(Object.keys(mustBeRecord(body.fields, 'fields')).sort()).toEqual(['consumer', 'name', 'route', 'service']);
});
