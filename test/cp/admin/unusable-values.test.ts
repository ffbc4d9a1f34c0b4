import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AdminServer, startAdmin } from './admin-server.ts';
import { createEmbedded, type Database } from './drivers.ts';
import { emptyDatabase } from './empty-database.ts';

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
beforeEach(() => emptyDatabase(admin));

describe('a pattern that data planes could not run is refused at the write', () => {
  const deep = '\\w+/'.repeat(5300);
  const wide = '(a|b|c)?'.repeat(20_000);

  it.each([
    ['/routes', { paths: [`~/${deep}`] }],
    ['/routes', { paths: [`~/${wide}`] }],
    ['/routes', { paths: ['/'], headers: { x: [`~*${deep}`] } }],
    // Flavours that compare in lower case take each of several values for a pattern, too.
    ['/routes', { paths: ['/'], headers: { x: ['a', `~*${wide}`] } }],
    ['/plugins', { name: 'bot-detection', config: { deny: [deep] } }],
    ['/plugins', { name: 'bot-detection', config: { allow: [`${wide}(?=x)`] } }],
    ['/plugins', { name: 'cors', config: { origins: [wide] } }],
  ])('at %s', async (path, body) => {
    const { status, body: answer } = await admin.send('POST', path, { json: body });
    expect({ status, name: answer.name }).toEqual({ status: 400, name: 'schema violation' });
    expect(JSON.stringify(answer)).toMatch(/pattern is too large|is not a valid regex/);
    expect(JSON.stringify(answer.fields).length).toBeLessThan(2000);
    expect((await admin.send('GET', path)).rows).toEqual([]);
  });

  it('in lower case, as flavours compare headers, and where Kong finds out with requests', async () => {
    const headers = { x: ['b', '~*\\pL+'] };
    const { status, body } = await admin.send('POST', '/routes', { json: { paths: ['/'], headers } });
    expect({ status, message: body.message }).toEqual({
      status: 400,
      message: expect.stringContaining('Router Expression failed validation: error parsing regexp: invalid'),
    });
    const guard = { name: 'ai-prompt-guard', config: { deny_patterns: ['(a'] } };
    expect((await admin.send('POST', '/plugins', { json: guard })).status).toBe(400);
  });
});
