import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { authority } from '../pki/authority.ts';
import { type AdminServer, startAdmin } from './admin-server.ts';
import { type Database, drivers } from './drivers.ts';
import { emptyDatabase } from './empty-database.ts';

const AT_ONCE = 16;

describe.each(drivers)('the same PUT from many at once on $driver', ({ create }) => {
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

  async function putByAll(path: string, json: object): Promise<void> {
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => admin.send('PUT', path, { json })));
    for (const { status, text } of answers) if (status !== 200) throw new Error(`PUT ${path} is ${status}: ${text}`);
  }

  it('of an ACL group by its name makes one row', async () => {
    await admin.send('PUT', '/consumers/c', { json: {} });
    const groups = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const group of groups) await putByAll(`/consumers/c/acls/${group}`, {});
    const { rows } = await admin.send('GET', '/consumers/c/acls');
    expect(rows.map(({ group }) => group).sort()).toEqual(groups);
  });

  it('of a certificate by a server name makes one, and leaves it with that name', async () => {
    const { cert, key } = await (await authority('CA')).leaf();
    await putByAll('/certificates/a.test', { cert, key });
    const { rows } = await admin.send('GET', '/certificates');
    expect(rows.map(({ snis }) => snis)).toEqual([['a.test']]);
    // What really is another's stays so.
    const taken = await admin.send('PUT', '/certificates/b.test', { json: { cert, key, snis: ['a.test'] } });
    expect({ status: taken.status, text: taken.text }).toEqual({
      status: 400,
      text: expect.stringContaining('a.test already associated with existing certificate'),
    });
  });

  it('of what has two unique keys makes one row', async () => {
    await putByAll('/consumers/bob', { custom_id: 'b1' });
    await putByAll('/plugins/everywhere', { name: 'key-auth' });
    expect((await admin.send('GET', '/consumers')).rows).toHaveLength(1);
    expect((await admin.send('GET', '/plugins')).rows).toHaveLength(1);
    expect(await admin.send('PUT', '/consumers/eve', { json: { custom_id: 'b1' } })).toMatchObject({ status: 409 });
  });

  it('of a parent through a child that has none makes one', async () => {
    await admin.send('POST', '/routes', { json: { name: 'r', paths: ['/'] } });
    await putByAll('/routes/r/service', { host: 'h.test' });
    expect((await admin.send('GET', '/services')).rows).toHaveLength(1);
  });
});
