import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdminServer, type Answer, type Json, startAdmin } from './admin-server.ts';
import { createEmbedded, type Database } from './drivers.ts';

describe('GET /openapi.json', () => {
  let database: Database;
  let admin: AdminServer;
  let document: Json;

  beforeAll(async () => {
    database = await createEmbedded();
    admin = await startAdmin(database.settings);
    document = (await admin.send('GET', '/openapi.json')).body;
  });
  afterAll(async () => {
    await admin?.close();
    await database?.drop();
  });

  it('is a valid OpenAPI 3.1 document whose references all resolve', async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(document))).toEqual({ valid: true });
    const names = Object.keys(membersOf(at(document, 'components', 'schemas')));
    for (const [, name] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      expect(names).toContain(name);
    }
    const ids = [...JSON.stringify(document).matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('describes every path there is', async () => {
    const { body } = await admin.send('GET', '/endpoints');
    expect(Object.keys(membersOf(document.paths)).sort()).toEqual(Object.values(membersOf(body.data)).sort());
  });

  it('is what the API answers: each body fits the schema of its operation and status', async () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
    ajv.addSchema({ ...document, $id: 'admin' });
    const expectFit = (method: string, path: string, answer: Answer) => {
      const described = at(document, 'paths', path, method.toLowerCase(), 'responses', String(answer.status));
      expect(described, `${method} ${path} may answer ${answer.status}`).toBeDefined();
      const shared =
        at(described, '$ref') === undefined
          ? described
          : at(document, 'components', 'responses', String(answer.status));
      const schema = at(shared, 'content', 'application/json', 'schema');
      if (schema === undefined) return expect(answer.text).toBe('');
      const text = JSON.stringify(schema).replaceAll('"#/components', '"admin#/components');
      const fits = ajv.compile(JSON.parse(text));
      expect(fits(answer.body), `${method} ${path} ${answer.text}: ${ajv.errorsText(fits.errors)}`).toBe(true);
    };
    const exchanges: [string, string, string, unknown?][] = [
      ['GET', '/', '/'],
      ['GET', '/status', '/status'],
      ['GET', '/endpoints', '/endpoints'],
      ['GET', '/timers', '/timers'],
      ['POST', '/services', '/services', { name: 's', host: 'h', tags: ['t'] }],
      ['POST', '/services', '/services', { name: 's', host: 'h' }],
      ['POST', '/services', '/services', { port: 'x' }],
      ['GET', '/services', '/services'],
      ['GET', '/services/{services}', '/services/s'],
      ['GET', '/services/{services}', '/services/none'],
      ['PATCH', '/services/{services}', '/services/none', {}],
      ['POST', '/services/{services}/routes', '/services/s/routes', { paths: ['/p'], headers: { h: ['1'] } }],
      ['DELETE', '/services/{services}', '/services/s'],
      ['PUT', '/consumers/{consumers}', '/consumers/c', {}],
      ['POST', '/consumers/{consumers}/key-auth', '/consumers/c/key-auth', {}],
      ['POST', '/plugins', '/plugins', { name: 'key-auth', consumer: { username: 'c' } }],
      ['POST', '/plugins', '/plugins', { name: 'key-auth' }],
      ['GET', '/plugins', '/plugins'],
      ['GET', '/tags', '/tags'],
      ['GET', '/schemas/{name}', '/schemas/routes'],
      ['POST', '/schemas/plugins/validate', '/schemas/plugins/validate', { name: 'key-auth' }],
      ['GET', '/clustering/data-planes', '/clustering/data-planes'],
      ['DELETE', '/consumers/{consumers}', '/consumers/c'],
    ];
    for (const [method, path, real, json] of exchanges) {
      expectFit(method, path, await admin.send(method, real, json === undefined ? {} : { json }));
    }
    expect(admin.log).toEqual([]);
  });
});

const membersOf = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {});

/** What stands at a path of keys, or undefined. */
const at = (value: unknown, ...keys: readonly string[]): unknown =>
  keys.reduce<unknown>((inside, key) => Object.entries(membersOf(inside)).find(([name]) => name === key)?.[1], value);
