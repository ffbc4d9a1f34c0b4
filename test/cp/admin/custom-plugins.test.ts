import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import '../../plugin-lua.ts';
import { STAMP } from '../../lua-plugins/stamp.ts';
import { type AdminServer, startAdmin } from './admin-server.ts';
import { createEmbedded, type Database } from './drivers.ts';

let database: Database;
let admin: AdminServer;

beforeAll(async () => {
  database = await createEmbedded();
  admin = await startAdmin(database.settings);
  expect(await admin.send('POST', '/custom-plugins', { json: STAMP })).toMatchObject({
    status: 201,
    body: { name: 'stamp', handler: STAMP.handler, tags: null },
  });
});
afterAll(async () => {
  await admin?.close();
  await database?.drop();
});

const post = (path: string, json: unknown) => admin.send('POST', path, { json });

it('shows a plugin in Lua wherever the bundled ones are', async () => {
  const shown = await admin.send('GET', '/schemas/plugins/stamp');
  const fields = Object.assign({}, ...(shown.body.fields as object[]));
  expect(Object.keys(fields)).toEqual(['consumer', 'protocols', 'config']);
  expect(Object.assign({}, ...fields.config.fields)).toMatchObject({
    header: { type: 'string', default: 'X-Stamp', required: true },
    text: { len_min: 2, match: '^%a+$' },
    times: { between: [0, 100], default: 2 },
    paths: { type: 'array', elements: { type: 'string', starts_with: '/' }, default: [] },
  });
  expect((await admin.send('GET', '/plugins/enabled')).body.enabled_plugins).toContain('stamp');
  expect((await admin.send('GET', '/')).body.plugins).toMatchObject({
    available_on_server: { stamp: { version: '1.2.0', priority: 815 } },
  });
  expect(JSON.parse((await admin.send('GET', '/openapi.json')).text).components.schemas['plugin.stamp']).toMatchObject({
    properties: { mode: { enum: ['mark', 'refuse', null] } },
  });
});

it('validates and completes configurations by the schema, functions included', async () => {
  const created = await post('/plugins', { name: 'stamp', config: { text: 'ab', repeat_count: 3 } });
  expect(created).toMatchObject({
    status: 201,
    body: {
      config: {
        header: 'X-Stamp',
        text: 'ab',
        times: 6,
        mode: 'mark',
        refusal: null,
        paths: [],
        weights: null,
      },
    },
  });
  await admin.send('DELETE', `/plugins/${created.body.id}`);
  const form = await admin.send('POST', '/plugins', {
    form: 'name=stamp&config.text=ab&config.times=4&config.paths[]=/a',
  });
  expect(form).toMatchObject({ status: 201, body: { config: { times: 4, paths: ['/a'] } } });
  const wrong = await admin.send('PATCH', `/plugins/${form.body.id}`, {
    form: 'config.times=5&config.text=1&config.header=a b',
  });
  expect(wrong).toMatchObject({
    status: 400,
    body: {
      fields: {
        config: { times: 'must be even', text: 'length must be at least 2', header: expect.stringContaining('a b') },
      },
    },
  });
  await admin.send('DELETE', `/plugins/${form.body.id}`);
});

it.each([
  [{ text: 'none' }, { config: { '@entity': ['nothing cannot be repeated'] } }],
  [{ text: 'a1' }, { config: { text: 'invalid value: a1' } }],
  [{ text: 'never', mode: 'refuse' }, { config: { text: 'value must not be never' } }],
  [{ text: 'ab', paths: ['x'] }, { config: { paths: ['should start with: /'] } }],
  [{ text: 'ab', unknown: 1 }, { config: { unknown: 'unknown field' } }],
])('refuses %j', async (config, fields) => {
  expect(await post('/schemas/plugins/validate', { name: 'stamp', config })).toMatchObject({
    status: 400,
    body: { fields },
  });
  expect(await post('/plugins', { name: 'stamp', config })).toMatchObject({ status: 400, body: { fields } });
});

const schemaOf = (config: string, more = '') =>
  `return { name = 'p', fields = { { config = { type = 'record', fields = { ${config} } } } } ${more} }`;
const HANDLER = `return { PRIORITY = 1, VERSION = '0.1.0', access = function() end }`;

it('takes the example of the documents, which reads the one table that data planes have', async () => {
  const page = readFileSync(new URL('../../../docs/hosts.md', import.meta.url), 'utf8');
  const handler = /```lua\n([\s\S]+?)```/.exec(page)?.[1] ?? '';
  expect(handler).toContain('kong.db.ca_certificates:each()');
  const schema = `return { name = 'partners', fields = {
    { config = { type = 'record', fields = { { server_name = { type = 'string', required = true } } } } } } }`;
  expect(await post('/custom-plugins', { name: 'partners', schema, handler })).toMatchObject({ status: 201 });
});

it('has the typedefs of Kong that plugins of its own use', async () => {
  const field = (name: string, typedef: string) => `{ ${name} = typedefs.${typedef} },`;
  const config = [
    ['queue', 'queue'],
    ['propagation', 'propagation { required = false }'],
    ['custom_fields', 'lua_code'],
    ['address', 'ip'],
    ['range', 'cidr_v4'],
    ['host', 'redis_host'],
    ['server_name', 'redis_server_name'],
    ['path', 'router_path'],
    ['ttl', 'ttl'],
    ['version', 'semantic_version'],
    ['methods', 'no_methods'],
  ].map(([name = '', typedef = '']) => field(name, typedef));
  const schema = `local typedefs = require 'kong.db.schema.typedefs'\n${schemaOf(config.join('\n'))}`;
  expect(await post('/custom-plugins', { name: 'p', schema, handler: HANDLER })).toMatchObject({ status: 201 });
  const verdict = async (given: object) => (await post('/schemas/plugins/validate', { name: 'p', config: given })).body;
  expect(
    await verdict({
      queue: { max_batch_size: 5 },
      custom_fields: { a: "return 'b'" },
      address: '::1',
      range: '10.0.0.0/8',
      host: 'redis.test',
      server_name: 'redis.test',
      path: '~/a',
      ttl: 1.5,
      version: '1.2.3-a',
    }),
  ).toEqual({ message: 'schema validation successful' });
  const { fields } = await verdict({
    queue: { max_entries: 0 },
    propagation: { extract: ['none'] },
    custom_fields: { a: 'return return' },
    address: '10.0.0.0/8',
    range: '::1',
    host: 'redis.test:1',
    server_name: '10.0.0.1',
    path: 'a',
    ttl: -1,
    version: '1..2',
    methods: ['GET'],
  });
  expect(fields).toEqual({
    config: {
      queue: { max_entries: 'value should be between 1 and 1000000' },
      propagation: { extract: [expect.stringMatching(/^expected one of: /)], default_format: 'required field missing' },
      custom_fields: expect.stringMatching(/^Error parsing function: /),
      address: 'not an ip address: 10.0.0.0/8',
      range: "invalid ipv4 cidr range: '::1'",
      host: 'must not have a port',
      server_name: 'must not be an IP',
      path: 'should start with: / (fixed path) or ~/ (regex path)',
      ttl: 'value should be between 0 and 100000000',
      version: 'must not have empty version segments',
      methods: 'value must be null',
    },
  });
  expect((await admin.send('DELETE', '/custom-plugins/p')).status).toBe(204);
});

describe('what is sent', () => {
  it.each([
    [
      'handler',
      `local ffi = require "ffi" ${HANDLER}`,
      "line 1: module 'ffi' cannot be had on data planes: there is no machine code",
    ],
    ['handler', `${HANDLER.replace('function() end', 'function() io.open("x") end')}`, 'io.open cannot be had'],
    [
      'handler',
      `local db = kong.db.consumers ${HANDLER}`,
      'kong.db.consumers cannot be had on data planes: data planes have no database',
    ],
    ['handler', `local x = require("resty.nothing") ${HANDLER}`, "module 'resty.nothing' is not there"],
    ['handler', `return { PRIORITY = 1, access = function() end }`, "VERSION must be a text as '1.0.0', found nothing"],
    [
      'handler',
      `return { PRIORITY = 'x', VERSION = '1.0.0', access = function() end }`,
      "PRIORITY must be an integer, found 'x'",
    ],
    ['handler', `return { PRIORITY = 1, VERSION = '1.0.0' }`, 'handler.lua has a function for none of the phases'],
    ['handler', 'return {', "handler.lua:1: unexpected symbol near '<eof>'"],
    ['handler', 'while true do end', 'instruction budget used up'],
    ['handler', 'local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(100) .. i end', 'budget used up'],
    ['handler', 'return require("kong.plugins.p.handler")', 'loop or previous error loading module'],
    ['schema', 'while true do end', 'instruction budget used up'],
    [
      'schema',
      'local t = {} for i = 1, 200 do t = { t } end return { name = "p", fields = t }',
      'nested deeper than 64 tables',
    ],
    ['schema', 'local t = {} t.name = "p" t.fields = t return t', 'nested deeper than 64 tables, or holds itself'],
    ['schema', schemaOf('').replace("'p'", "'q'"), "the schema is of a plugin named 'q', not 'p'"],
    ['schema', schemaOf("{ a = { type = 'strin' } }"), "fields.config: 'fields'.a: there is no type 'strin'"],
    ['schema', schemaOf("{ a = { type = 'string', requird = true } }"), "unknown attribute 'requird'"],
    ['schema', schemaOf("{ a = { type = 'array' } }"), 'a field of type array has elements'],
    ['schema', schemaOf("{ a = { type = 'function' } }"), 'configurations are data and cannot hold functions'],
    ['schema', schemaOf("{ a = require('kong.db.schema.typedefs').nothing }"), 'definition nothing does not exist'],
    ['schema', schemaOf('', ', no_consumer = true'), "'no_consumer' is of schemas before Kong 1.0"],
    ['schema', schemaOf('', ', entity_checks = { { sometimes = {} } }'), "unknown entity check 'sometimes'"],
    [
      'schema',
      `local fields = {} for i = 1, 3000 do fields[i] = { ['f' .. i] = { type = 'string' } } end ${schemaOf('').replace('fields = {  }', 'fields = fields')}`,
      'more than 2000 fields',
    ],
    ['schema', 'return 1', 'expected a table with names, found a number'],
    [
      'modules',
      { 'kong.plugins.p.daos': 'return {}' },
      "'kong.plugins.p.daos' cannot be sent: plugins bring no entities of their own",
    ],
    [
      'modules',
      { 'kong.plugins.p.api': 'return {}' },
      "'kong.plugins.p.api' cannot be sent: plugins bring no paths of the Admin API",
    ],
    ['modules', { 'kong.plugins.p.migrations.init': 'return {}' }, 'cannot be sent'],
    ['name', 'key-auth', "'key-auth' is a bundled plugin"],
    ['name', '../x', 'expected letters'],
  ])('is refused for its %s: %j', async (field, value, reason) => {
    const plugin = { name: 'p', schema: schemaOf(''), handler: HANDLER, [field]: value };
    const answer = await post('/custom-plugins', plugin);
    expect(answer, answer.text).toMatchObject({ status: 400, body: { name: 'schema violation' } });
    expect(JSON.stringify((answer.body.fields as Record<string, unknown>)[field])).toContain(
      JSON.stringify(reason).slice(1, -1),
    );
  });
});

it('is read in one pass, with a text in it that never ends, and with names that every object has', async () => {
  const plugin = { name: 'p', schema: schemaOf(''), handler: HANDLER };
  const unfinished = await post('/custom-plugins', { ...plugin, handler: `return "${'\\"'.repeat(400_000)}` });
  expect(unfinished.status, unfinished.text).toBe(400);
  expect(unfinished.body.fields).toEqual({
    handler: expect.stringMatching(/unfinished string|instruction budget used up/),
  });
  const named = await post('/custom-plugins', { ...plugin, schema: schemaOf('', ', constructor = 1') });
  expect(named.body).toMatchObject({ fields: { schema: "unknown member 'constructor'" } });
  const modules = { 'kong.plugins.p.constructor': 'return {}' };
  expect(await post('/custom-plugins', { ...plugin, modules })).toMatchObject({ status: 201, body: { modules } });
  expect((await admin.send('DELETE', '/custom-plugins/p')).status).toBe(204);
});

describe('a plugin that is configured', () => {
  beforeAll(async () => {
    await post('/services', { name: 's', host: 'h' });
    await post('/services/s/plugins', {
      name: 'stamp',
      instance_name: 'one',
      config: { text: 'ab', weights: { a: 1 } },
    });
  });

  it('is neither deleted nor renamed', async () => {
    expect(await admin.send('DELETE', '/custom-plugins/stamp')).toMatchObject({
      status: 400,
      body: { message: "an existing 'plugins' entity references this 'custom_plugins' entity" },
    });
    expect(await admin.send('PATCH', '/custom-plugins/stamp', { json: { name: 'stamp@2' } })).toMatchObject({
      status: 400,
      body: { fields: { name: "rows of plugins are of 'stamp': it cannot be renamed" } },
    });
  });

  it('gets another schema: rows follow it, or it is refused', async () => {
    const without = STAMP.schema.replace(/\{ weights = .*\n/, '{ extra = { type = "string", default = "new" } },\n');
    expect(await admin.send('PATCH', '/custom-plugins/stamp', { json: { schema: without } })).toMatchObject({
      status: 200,
    });
    const { body } = await admin.send('GET', '/plugins/one');
    expect(body.config).toMatchObject({ text: 'ab', extra: 'new' });
    expect(body.config).not.toHaveProperty('weights');
    const longer = STAMP.schema.replace('len_min = 2', 'len_min = 3');
    const refused = await admin.send('PATCH', '/custom-plugins/stamp', { json: { schema: longer } });
    expect(refused).toMatchObject({ status: 400 });
    expect(refused.text).toContain(
      `plugin ${body.id} does not fit it: schema violation (config.text: length must be at least 3)`,
    );
    expect((await admin.send('GET', '/custom-plugins/stamp')).body.schema).toBe(without);
  });

  it('has versions beside each other, of which a place has one', async () => {
    const second = { ...STAMP, name: 'stamp@2', handler: STAMP.handler.replace('1.2.0', '2.0.0') };
    expect(await admin.send('PUT', '/custom-plugins/stamp@2', { json: second })).toMatchObject({ status: 200 });
    expect(await post('/services/s/plugins', { name: 'stamp@2', config: { text: 'cd' } })).toMatchObject({
      status: 400,
      body: { fields: { name: "'stamp', another version of it, is configured at the same place" } },
    });
    expect(
      await admin.send('PUT', '/services/s/plugins/one', { json: { name: 'stamp@2', config: { text: 'cd' } } }),
    ).toMatchObject({ status: 200, body: { name: 'stamp@2' } });
    expect(await admin.send('DELETE', '/custom-plugins/stamp')).toMatchObject({ status: 204 });
    await post('/custom-plugins', STAMP);
  });
});

it('comes and goes with a declarative document, rows first where they need it', async () => {
  const document = {
    _format_version: '3.0',
    custom_plugins: [{ ...STAMP, name: 'stamp@doc' }],
    services: [{ name: 'd', host: 'h', plugins: [{ name: 'stamp@doc', config: { text: 'doc' } }] }],
  };
  for (const written of [true, false]) {
    const loaded = await post('/config', document);
    expect(loaded.status, `${written} ${loaded.text}`).toBe(201);
    expect((await admin.send('GET', '/plugins')).rows).toMatchObject([{ name: 'stamp@doc', config: { times: 2 } }]);
    expect((await admin.send('GET', '/custom-plugins')).rows).toMatchObject([{ name: 'stamp@doc' }]);
  }
  const broken = { ...document, custom_plugins: [{ ...STAMP, name: 'stamp@doc', handler: 'return 1' }] };
  const refused = await post('/config', broken);
  expect(refused.status).toBe(400);
  expect(refused.text).toContain('handler.lua must return a table');
  expect((await post('/config', { _format_version: '3.0' })).status).toBe(201);
  expect((await admin.send('GET', '/custom-plugins')).rows).toEqual([]);
});

it('is not taken where the data plane of the same settings runs no Lua of others', async () => {
  await admin.close();
  admin = await startAdmin(database.settings, { luaPlugins: false });
  const answer = await admin.send('POST', '/custom-plugins', { json: STAMP });
  expect(answer).toMatchObject({ status: 400 });
  expect(answer.text).toContain("'untrusted_lua' config option is set to 'off'");
});
