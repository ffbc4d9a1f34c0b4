import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { configCommand } from '../../../cp/commands/config.ts';
import type { HeadPart } from '../../../shared/head.ts';
import { headFields } from '../../../shared/head-fields.ts';
import { plugins } from '../../../shared/plugins/registry.ts';
import { isRecord, recordOrEmpty } from '../../../shared/record.ts';
import type { Field } from '../../../shared/schema/vocabulary.ts';
import { pluginSamples } from '../../shared/schema/samples.ts';
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

describe('what would end a line in the head of a message is refused at the write', () => {
  const evil = 'a\r\nX-Evil: 1';
  const plugin = (name: string, config: object) => ['/plugins', { name, config }] as const;

  it.each<readonly [path: string, body: object]>([
    plugin('key-auth', { realm: evil }),
    plugin('jwt', { realm: 'a\x07' }),
    plugin('correlation-id', { header_name: 'X Id' }),
    plugin('correlation-id', { header_name: 'X-Id\r\nX-Evil' }),
    plugin('cors', { exposed_headers: ['X-A', evil] }),
    plugin('redirect', { location: 'http://a/\r\nX-Evil: 1' }),
    plugin('http-log', { http_endpoint: 'http://log.test', headers: { 'x-a': evil } }),
    plugin('http-log', { http_endpoint: 'http://log.test/\n' }),
    plugin('request-transformer', { add: { headers: ['x-a:b\r\nx-evil:$(headers.x)'] } }),
    plugin('request-transformer', { replace: { uri: '/a HTTP/1.1\r\n\r\nGET /$(uri_captures[1])' } }),
    plugin('response-transformer', { add: { headers: [`x-a:${evil}`] } }),
    plugin('response-transformer', { rename: { headers: ['x-a:x b'] } }),
    plugin('response-ratelimiting', { limits: { 'a b': { minute: 1 } } }),
    plugin('session', { cookie_name: 'a;b' }),
    plugin('request-termination', { body: 'x', content_type: evil }),
    plugin('grpc-web', { allow_origin_header: evil }),
    plugin('opentelemetry', { endpoint: 'http://t.test', http_response_header_for_traceid: 'x y' }),
    ['/upstreams', { name: 'u.test', hash_on: 'cookie', hash_on_cookie: 'a\r\nb' }],
    ['/upstreams', { name: 'u.test', host_header: 'a\r\nb' }],
    ['/upstreams', { name: 'u.test', healthchecks: { active: { headers: { x: [evil] } } } }],
    ['/consumers', { username: evil }],
    ['/consumers', { custom_id: 'a\x1b[31m' }],
  ])('at %s: %j', async (path, json) => {
    const { status, body } = await admin.send('POST', path, { json });
    expect({ status, name: body.name }).toEqual({ status: 400, name: 'schema violation' });
    expect((await admin.send('GET', path)).rows).toEqual([]);
  });

  it('nor may what says who somebody is: credentials and groups', async () => {
    await admin.send('PUT', '/consumers/ada', { json: {} });
    await admin.send('PUT', '/consumer_groups/gold', { json: {} });
    for (const [path, json] of [
      ['/consumers/ada/basic-auth', { username: evil, password: 'p' }],
      ['/consumers/ada/hmac-auth', { username: evil }],
      ['/consumers/ada/jwt', { key: evil }],
      ['/consumers/ada/oauth2', { name: 'app', client_id: evil, redirect_uris: ['http://a.test'] }],
      ['/consumers/ada/acls', { group: evil }],
      ['/consumers/ada/acls', { group: 'a\0' }],
      ['/consumer_groups', { name: evil }],
    ] as const) {
      expect((await admin.send('POST', path, { json })).status, path).toBe(400);
    }
    for (const [path, json] of [
      ['/consumers/ada', { username: evil }],
      ['/consumer_groups/gold', { name: evil }],
    ] as const)
      expect((await admin.send('PATCH', path, { json })).status, path).toBe(400);
  });

  it('in PATCH, in documents, and with the place of what is wrong', async () => {
    const { body: made } = await admin.send('POST', '/plugins', { json: { name: 'key-auth' } });
    const patch = { json: { config: { realm: 'a\nb' } } };
    const { body } = await admin.send('PATCH', `/plugins/${made.id}`, patch);
    expect(body.message).toBe(
      'schema violation (config.realm: a header cannot hold the control character U+000A (at position 2))',
    );
    const document = { _format_version: '3.0', plugins: [{ name: 'key-auth', config: { realm: evil } }] };
    const { status, text } = await admin.send('POST', '/config', { json: { config: JSON.stringify(document) } });
    expect(status).toBe(400);
    expect(text).toContain('U+000D');
    expect((await admin.send('GET', '/plugins')).rows.map(({ id }) => id)).toEqual([made.id]);
  });

  it.each<readonly [path: string, body: object]>([
    plugin('http-log', { http_endpoint: 'http://log.test', headers: { authorization: '{vault://env/token}' } }),
    plugin('request-transformer', { add: { headers: ['x-a:$(headers["x"]\n or 1) é'] } }),
    plugin('response-transformer', { remove: { headers: ['x-a', 'set-cookie:a'] } }),
    plugin('correlation-id', { header_name: 'X.Request~Id' }),
    plugin('key-auth', { realm: 'Zürich\t東京' }),
    plugin('cors', { headers: ['*'], origins: ['https://a.test'] }),
    ['/consumers', { username: 'Ünal {x} č' }],
  ])('but not what is fine: %s %j', async (path, json) => {
    const { status, text } = await admin.send('POST', path, { json });
    expect({ status, text }).toMatchObject({ status: 201 });
  });
});

describe('no field of a plugin that stands in the head of a message takes what would end its line', () => {
  const CONTROLS = ['\r', '\n', '\0'];
  const NO_TOKENS = [...CONTROLS, ' ', 'é', '('];
  const name = [(mark: string) => `x${mark}y`, NO_TOKENS] as const;
  const value = [(mark: string) => `a${mark}b`, CONTROLS] as const;
  const nameOfTwo = [(mark: string) => `x${mark}y:z`, NO_TOKENS] as const;
  const valueOfTwo = [(mark: string) => `x-y:a${mark}b`, CONTROLS] as const;
  /** What texts of each kind may be like, which are fine with a dash in them, and what none may have there. */
  const TEXTS: Readonly<Record<HeadPart, readonly (readonly [(mark: string) => string, readonly string[]])[]>> = {
    name: [name],
    value: [value],
    template: [[(mark) => `/a${mark}b$(headers.c)`, CONTROLS]],
    'name:value': [nameOfTwo, valueOfTwo],
    'name:name': [nameOfTwo, [(mark) => `x-y:z${mark}a`, NO_TOKENS]],
    'name:template': [nameOfTwo, [(mark) => `x-y:$(headers.z)${mark}b`, CONTROLS]],
  };
  const llm = {
    auth: { header_name: 'x-key', header_value: 'a', aws_access_key_id: 'a', aws_secret_access_key: 'b' },
    model: { options: { gemini: { api_endpoint: 'a', project_id: 'b', location_id: 'c' } } },
  };
  /** What fields need beside them. */
  const BESIDE: Readonly<Record<string, object>> = {
    'ai-proxy': llm,
    'ai-request-transformer': { llm },
    'ai-response-transformer': { llm },
    'aws-lambda': { aws_key: 'a', aws_secret: 'b', function_name: 'f', aws_region: 'us-east-1' },
    opentelemetry: { propagation: { default_format: 'w3c' } },
    'request-termination': { body: 'x' },
    zipkin: { propagation: { default_format: 'b3' } },
  };

  interface Place {
    readonly plugin: string;
    readonly field: string;
    readonly fine: unknown;
    readonly wrong: readonly unknown[];
  }
  const places: readonly Place[] = pluginSamples.flatMap(({ name: plugin, config }) =>
    Object.entries(headFields[plugin] ?? {}).flatMap(([field, part]) =>
      TEXTS[part].map(([text, marks]) => {
        const url = plugin === 'redirect' ? 'https://a.test/' : '';
        const whole = merged(config, BESIDE[plugin] ?? {});
        const having = (mark: string) =>
          withText(plugins.get(plugin)?.fields.config, field.split('.'), `${url}${text(mark)}`, whole);
        return { plugin, field, fine: having('-'), wrong: marks.map(having) };
      }),
    ),
  );
  const documentOf = (config: (place: Place) => unknown) => ({
    _format_version: '3.0',
    services: places.map((place, n) => ({
      name: `s${n}`,
      host: 'h',
      plugins: [{ name: place.plugin, config: config(place) }],
    })),
  });

  it('knows a field of each kind', () => {
    expect(new Set(places.map(({ plugin, field }) => headFields[plugin]?.[field]))).toEqual(
      new Set(Object.keys(TEXTS)),
    );
  });

  it.each([...new Set(places.map(({ plugin }) => plugin))])('%s, at the Admin API', async (plugin) => {
    const { body: row } = await admin.send('PUT', '/plugins/it', {
      json: pluginSamples.find((s) => s.name === plugin),
    });
    for (const { field, fine, wrong } of places.filter((place) => place.plugin === plugin)) {
      const send = async (method: string, path: string, config: unknown) => {
        const { status, text } = await admin.send(method, path, { json: { name: plugin, config } });
        return { field, config, status, text };
      };
      expect(await send('PATCH', `/plugins/${row.id}`, fine)).toMatchObject({ status: 200 });
      for (const config of wrong) {
        expect(await send('POST', '/plugins', config)).toMatchObject({ status: 400 });
        expect(await send('PATCH', `/plugins/${row.id}`, config)).toMatchObject({ status: 400 });
      }
    }
    expect((await admin.send('GET', '/plugins')).rows).toHaveLength(1);
  });

  it('all of them, at POST /config and in config check', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'head fields '));
    const check = async (document: unknown) => {
      const file = join(folder, 'kong.json');
      await writeFile(file, JSON.stringify(document));
      const read = async () => ({ bundled: new Set(plugins.keys()), load: async () => [] });
      const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
      try {
        const command = configCommand(read, () => expect.fail('nothing is replayed'));
        await command.run({ words: ['check', file], conf: undefined, prefix: folder, options: {} });
        return 'is valid';
      } catch (error) {
        return String(error);
      } finally {
        write.mockRestore();
      }
    };
    try {
      const fine = documentOf((place) => place.fine);
      expect(await check(fine)).toBe('is valid');
      expect(await admin.send('POST', '/config', { json: fine })).toMatchObject({ status: 201 });
      const before = await admin.store.changes.serial();
      for (const [n, mark] of NO_TOKENS.entries()) {
        const json = documentOf(({ fine, wrong }) => wrong[n] ?? fine);
        const due = places.flatMap(({ wrong }, at) => (wrong[n] === undefined ? [] : [at]));
        const { status, body } = await admin.send('POST', '/config?flatten_errors=1', { json });
        expect(status).toBe(400);
        const flattened = Array.isArray(body.flattened_errors) ? body.flattened_errors.map(recordOrEmpty) : [];
        // U+0000 is refused wherever it stands, before anybody looks what that is.
        if (mark === '\0') expect(body.message).toContain('holds a character that cannot be stored');
        else expect(flattened.map(({ entity_type }) => entity_type)).toEqual(due.map(() => 'plugin'));
        const told = await check(json);
        for (const at of due) expect(told).toContain(`\n  - in entry ${at + 1} of 'services':`);
      }
      expect(await admin.store.changes.serial()).toBe(before);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** A value with a text in one place of it: `@` is a key of a map, `*` what is in a map or a list. */
function withText(field: Field | undefined, steps: readonly string[], text: string, value: unknown): unknown {
  const [step, ...rest] = steps;
  if (step === undefined) return text;
  const before = recordOrEmpty(value);
  switch (field?.type) {
    case 'record':
      return { ...before, [step]: withText(field.fields[step], rest, text, before[step]) };
    case 'map':
      return step === '@'
        ? { [text]: Object.values(before)[0] ?? 'a' }
        : { 'x-a': withText(field.values, rest, text, undefined) };
    case 'array':
    case 'set':
      return [withText(field.elements, rest, text, undefined)];
    default:
      throw new TypeError(`there is nothing in '${step}'`);
  }
}

/** Records within records put together. */
function merged(a: object, b: object): object {
  const [before, after] = [recordOrEmpty(a), recordOrEmpty(b)];
  const both = Object.keys(after).filter((key) => isRecord(before[key]) && isRecord(after[key]));
  const inner = both.map((key) => [key, merged(recordOrEmpty(before[key]), recordOrEmpty(after[key]))] as const);
  return { ...before, ...after, ...Object.fromEntries(inner) };
}

describe('a row that no bundle could carry is refused at the write, before it holds up all others', () => {
  const LIMIT = (4 << 20) - 1024;
  const body = 'x'.repeat(LIMIT + 1);
  const large = { name: 'request-termination', config: { body } };
  const refused = { status: 400, text: expect.stringContaining(`at most ${LIMIT} are taken`) };

  it('as a row of its own, under a parent, by PUT and PATCH, and in a document', async () => {
    await admin.send('PUT', '/services/s', { json: { host: 'h' } });
    const { body: small } = await admin.send('POST', '/plugins', { json: { name: 'request-termination' } });
    const document = { _format_version: '3.0', services: [{ name: 'other', host: 'h', plugins: [large] }] };
    const answers = [
      await admin.send('POST', '/services/s/plugins', { json: large }),
      await admin.send('PUT', '/plugins/big', { json: large }),
      await admin.send('PATCH', `/plugins/${small.id}`, { json: { config: { body } } }),
      await admin.send('POST', '/config', { json: document }),
    ];
    for (const { status, text } of answers) expect({ status, text: text.slice(0, 500) }).toEqual(refused);
    expect((await admin.send('GET', '/services')).rows.map(({ name }) => name)).toEqual(['s']);
    expect((await admin.send('GET', '/plugins')).rows).toEqual([small]);
  });

  it('measured in bytes of UTF-8, all fields together', async () => {
    const many = Array.from({ length: 200_000 }, (_, n) => `é${n}é${n}éé`);
    const { status, text } = await admin.send('POST', '/services', { json: { host: 'h', tags: many } });
    expect({ status, text }).toEqual(refused);
    const fits = { ...large, config: { body: 'é'.repeat(LIMIT / 2 - 1000) } };
    expect((await admin.send('POST', '/plugins', { json: fits })).status).toBe(201);
  });

  it('or that is nested deeper than one', async () => {
    const nested = `${'{"a":'.repeat(600)}1${'}'.repeat(600)}`;
    const { status, text } = await admin.send('PUT', '/workspaces/deep', {
      body: `{"config":{"x":${nested}}}`,
      headers: { 'content-type': 'application/json' },
    });
    expect({ status, text }).toMatchObject({ status: 400, text: expect.stringContaining('500 levels') });
  });
});

describe('characters nobody sees are refused in what names something', () => {
  it.each<readonly [path: string, body: object, which: string]>([
    ['/services', { host: 'h', name: 'a\u202eb' }, 'U+202E'],
    ['/services', { host: 'h', name: 'a\u0085' }, 'U+0085'],
    ['/services', { host: 'h', tags: ['a\u200b'] }, 'U+200B'],
    ['/consumers', { username: '\ufeffadmin' }, 'U+FEFF'],
    ['/consumers', { custom_id: 'a\u{e0041}' }, 'U+E0041'],
    ['/plugins', { name: 'key-auth', instance_name: 'a\u2066' }, 'U+2066'],
    ['/plugins', { name: 'redirect', config: { location: 'https://a.test/\u202e' } }, 'U+202E'],
  ])('%s %j', async (path, json, which) => {
    const { status, text } = await admin.send('POST', path, { json });
    expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining(`must not hold ${which}`) });
  });
});

it('refuses ACL groups of one consumer that no bundle could carry together, and takes as many of two', async () => {
  // Some 900 kB each.
  const tags = Array.from({ length: 1000 }, (_, n) => `${n}${'y'.repeat(900)}`);
  const groups = (count: number) => Array.from({ length: count }, (_, n) => ({ group: `g${n}`, tags }));
  const consumers = ['a', 'b'].map((username) => ({ username, acls: groups(3) }));
  const document = { _format_version: '3.0', consumers };
  expect(await admin.send('POST', '/config', { json: document })).toMatchObject({ status: 201 });
  const more = { _format_version: '3.0', consumers: [{ username: 'a', acls: groups(5) }] };
  const refusal = { status: 400, text: expect.stringMatching(/the acls of \S+ have \d+ bytes together/) };
  expect(await admin.send('POST', '/config', { json: more })).toMatchObject(refusal);
  const added = await admin.send('POST', '/consumers/a/acls', { json: { group: 'one', tags } });
  expect(added).toMatchObject({ status: 201 });
  expect(await admin.send('POST', '/consumers/a/acls', { json: { group: 'two', tags } })).toMatchObject(refusal);
});
