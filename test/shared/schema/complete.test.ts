import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { entities, entitiesFor, entity } from '../../../shared/entities/registry.ts';
import { expressionRoutes } from '../../../shared/entities/routes.ts';
import type { Row } from '../../../shared/record.ts';
import { completeInsert, completeUpdate, completeUpsert, validate } from '../../../shared/schema/complete.ts';
import { KongError } from '../../../shared/schema/errors.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import { context } from './context.ts';
import { entitySamples, ID, pluginSamples } from './samples.ts';

function schemaOf(name: string): EntitySchema {
  const schema = entity(name);
  if (!schema) throw new Error(`no entity ${name}`);
  return schema;
}

/** Every entity and every plugin with an input that is accepted. */
const samples: readonly (readonly [string, EntitySchema, Row])[] = [
  ...Object.entries(entitySamples).map(([name, input]) => [name, schemaOf(name), { ...input }] as const),
  ...pluginSamples.map((input) => [`plugin ${input.name}`, schemaOf('plugins'), { ...input }] as const),
];

const insert = (name: string, input: Row) => completeInsert(schemaOf(name), input, context());
const patch = (name: string, input: Row, existing: Row) =>
  completeUpdate(schemaOf(name), input, existing, context(1_800_000_000));

async function refusal(write: Promise<unknown>): Promise<unknown> {
  const error = await write.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof KongError ? error.fields : error;
}

function unchanged(row: Row): Row {
  return 'updated_at' in row ? { ...row, updated_at: 1_800_000_000 } : row;
}

test('takes what Kong does not know where a field says so, and names it to nobody', async () => {
  const cache = (strategy: string) => insert('plugins', { name: 'proxy-cache', config: { strategy } });
  expect(await cache('edge')).toMatchObject({ config: { strategy: 'edge' } });
  expect(await refusal(cache('disk'))).toEqual({ config: { strategy: 'expected one of: memory' } });
});

test('takes a list for a map whose keys are numbers, as Kong does', async () => {
  const route = (headers: unknown) => refusal(insert('routes', { paths: ['/a'], headers }));
  expect(await route(['a'])).toEqual({ headers: 'expected a string' });
  expect(await route('a')).toEqual({ headers: 'expected a map' });
  expect(await route([])).toBeUndefined();
});

describe('every entity and plugin', () => {
  test.each(samples)('%s: a complete row has every field and is complete already', async (_name, schema, input) => {
    const row = await completeInsert(schema, input, context());
    const shown = Object.entries(schema.fields).filter(([, field]) => field.extension !== true);
    expect(Object.keys(row)).toEqual(shown.map(([name]) => name));
    expect(Object.values(row)).not.toContain(undefined);
    // A password would be hashed again.
    const again = await completeInsert({ ...schema, transformations: [] }, row, context());
    expect(again).toEqual(row);
  });

  test.each(samples)(
    '%s: a patch of nothing, and of all that is there, moves updated_at only',
    async (_name, schema, input) => {
      const row = await completeInsert(schema, input, context());
      const bare = { ...schema, transformations: [] };
      expect(await completeUpdate(schema, {}, row, context(1_800_000_000))).toEqual(unchanged(row));
      expect(await completeUpdate(bare, row, row, context(1_800_000_000))).toEqual(unchanged(row));
    },
  );

  test.each(samples)('%s: no value of any field breaks anything but the rules', async (_name, schema, input) => {
    const fields = [...Object.keys(schema.fields), 'config', 'unknown', '__proto__'];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...fields), fc.jsonValue({ maxDepth: 3 }), async (field, value) => {
        const given: Row = { ...input };
        Object.defineProperty(given, field, { value, enumerable: true, configurable: true, writable: true });
        const outcome = await completeInsert(schema, given, context()).catch((error: unknown) => error);
        if (outcome instanceof KongError) {
          expect(outcome.code).toBe(2);
          expect(outcome.message).toMatch(/^(schema violation|\d+ schema violations) \(/);
          expect(JSON.stringify(outcome.body())).toContain('"fields":{"');
        } else expect(outcome).not.toBeInstanceOf(Error);
      }),
      { numRuns: 60 },
    );
  });
});

describe('PATCH', () => {
  test('merges records field by field and replaces lists', async () => {
    const row = await insert('upstreams', { name: 'u', healthchecks: { active: { healthy: { interval: 5 } } } });
    const active = { unhealthy: { http_statuses: [500] } };
    const patched = await patch('upstreams', { healthchecks: { active }, tags: ['a', 'a', 'b'] }, row);
    expect(patched.healthchecks).toMatchObject({
      active: { healthy: { interval: 5 }, unhealthy: { http_statuses: [500], timeouts: 0 } },
    });
    expect(patched.tags).toEqual(['a', 'b']);
  });

  test('judges the row as a whole, in the words Kong has for updates', async () => {
    const service = await insert('services', { host: 'h', path: '/p' });
    expect(await refusal(patch('services', { protocol: 'tcp' }, service))).toEqual({
      '@entity': ["failed conditional validation given value of field 'protocol'"],
      path: 'value must be null',
    });
    const consumer = await insert('consumers', { username: 'bob' });
    expect(await refusal(patch('consumers', { username: null }, consumer))).toEqual({
      '@entity': ["when updating, at least one of these fields must be non-empty: 'custom_id', 'username'"],
    });
  });

  test('refuses null for what is required', async () => {
    const service = await insert('services', { host: 'h' });
    expect(await refusal(patch('services', { host: null, port: null }, service))).toEqual({
      host: 'required field missing',
      port: 'required field missing',
    });
    // No url is no host, which cannot be, and not nothing said.
    expect(await refusal(patch('services', { url: null }, service))).toEqual({ host: 'required field missing' });
  });

  test('finds the plugin’s schema without being told its name again', async () => {
    const row = await insert('plugins', { name: 'rate-limiting', config: { minute: 5 } });
    const patched = await patch('plugins', { config: { redis_host: 'r', hour: 9 } }, row);
    expect(patched.config).toMatchObject({ minute: 5, hour: 9, redis: { host: 'r', port: 6379 }, redis_host: 'r' });
    expect(await refusal(patch('plugins', { config: { hour: 1 } }, row))).toEqual({
      config: 'The limit for hour(1.0) cannot be lower than the limit for minute(5.0)',
    });
  });

  test('keeps fields that cannot be updated', async () => {
    const schema: EntitySchema = {
      ...schemaOf('consumers'),
      fields: { ...schemaOf('consumers').fields, custom_id: { type: 'string', immutable: true } },
    };
    const row = await completeInsert(schema, { username: 'a', custom_id: 'x' }, context());
    expect(await refusal(completeUpdate(schema, { custom_id: 'y' }, row, context()))).toEqual({
      custom_id: 'immutable field cannot be updated',
    });
    expect(await completeUpdate(schema, { custom_id: 'x' }, row, context())).toMatchObject({ custom_id: 'x' });
  });
});

describe('PUT', () => {
  test('replaces the row under its id', async () => {
    const row = await insert('services', { name: 's', host: 'h', retries: 1 });
    const put = await completeUpsert(schemaOf('services'), { host: 'i', id: ID }, row, context());
    expect(put).toMatchObject({ id: row.id, host: 'i', name: null, retries: 5 });
  });
});

describe('aliases', () => {
  test('a former name that contradicts the present one is refused by its bare name', async () => {
    const config = { minute: 5, redis_host: 'r', redis: { host: 'q' } };
    expect(await refusal(insert('plugins', { name: 'rate-limiting', config }))).toEqual({
      redis_host: 'both deprecated and new field are used but their values mismatch: redis_host = r vs redis.host = q',
    });
  });

  test('a former name fills in where the present one is null', async () => {
    const config = { minute: 5, redis_host: 'r', redis: { host: null, port: 1 } };
    const row = await insert('plugins', { name: 'rate-limiting', config });
    expect(row.config).toMatchObject({ redis: { host: 'r', port: 1 }, redis_port: 1 });
  });

  test('a service’s url gives protocol, host, port and path', async () => {
    expect(await insert('services', { url: 'https://[::1]/a' })).toMatchObject({
      protocol: 'https',
      host: '::1',
      port: 443,
      path: '/a',
    });
    expect(await refusal(insert('services', { url: 'nonsense' }))).toEqual({
      host: 'required field missing',
      path: 'should start with: /',
    });
  });

  test('session options keep their older names', async () => {
    const row = await insert('plugins', { name: 'session', config: { cookie_samesite: 'off', cookie_renew: 1 } });
    expect(row.config).toMatchObject({ cookie_same_site: 'Lax' });
    expect(row.config).not.toHaveProperty('cookie_renew');
  });
});

test('a prefix of a vault is looked at once, however long it is', async () => {
  const prefix = `${'a'.repeat(1_000_000)}!`;
  expect(await refusal(insert('vaults', { name: 'env', prefix }))).toEqual({ prefix: `invalid value: ${prefix}` });
  for (const good of ['ab', 'a1', 'my-env', 'a--b']) {
    expect(await insert('vaults', { name: 'env', prefix: good })).toMatchObject({ prefix: good });
  }
});

describe('vault references', () => {
  test('stand for values that are known elsewhere, and keep checks from running', async () => {
    const reference = '{vault://env/some-key}';
    expect(await insert('certificates', { cert: reference, key: reference })).toMatchObject({ cert: reference });
    expect(await insert('plugins', { name: 'http-log', config: { http_endpoint: reference } })).toBeDefined();
    expect(await refusal(insert('services', { host: reference }))).toEqual({ host: `invalid value: ${reference}` });
  });
});

describe('stored forms', () => {
  test('targets get a port and one spelling', async () => {
    const target = async (text: string) => (await insert('targets', { target: text, upstream: { id: ID } })).target;
    expect(await target('example.com')).toBe('example.com:8000');
    expect(await target('010.0.0.01:80')).toBe('10.0.0.1:80');
    expect(await target('::1')).toBe('[0000:0000:0000:0000:0000:0000:0000:0001]:8000');
    expect(await target('[2001:DB8::1]:443')).toBe('[2001:0db8:0000:0000:0000:0000:0000:0001]:443');
  });

  test('a new password is only taken together with its consumer', async () => {
    const row = await insert('basicauth_credentials', { username: 'u', password: 'p', consumer: { id: ID } });
    expect(row.password).toBe('be560bcb8ef86ca7739575fac957262e436f7e3b');
    const renamed = await patch('basicauth_credentials', { username: 'v' }, row);
    expect(renamed.password).toBe(row.password);
    expect(await refusal(patch('basicauth_credentials', { password: 'q' }, row))).toEqual({
      '@entity': ["all or none of these fields must be set: 'password', 'consumer.id'"],
    });
    const changed = await patch('basicauth_credentials', { password: 'q', consumer: { id: ID } }, row);
    expect(changed.password).toMatch(/^[0-9a-f]{40}$/);
    expect(changed.password).not.toBe(row.password);
  });

  test('OAuth secrets are hashed where that is asked for', async () => {
    const app = { consumer: { id: ID }, name: 'app', client_secret: 's' };
    expect((await insert('oauth2_credentials', app)).client_secret).toBe('s');
    expect((await insert('oauth2_credentials', { ...app, hash_secret: true })).client_secret).toMatch(
      /^\$pbkdf2-sha512\$i=10000,l=32\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/,
    );
  });

  test('references are stored as ids alone', async () => {
    const row = await insert('routes', { paths: ['/'], service: { id: ID, name: 'ignored' } });
    expect(row.service).toEqual({ id: ID });
    expect(await refusal(insert('routes', { paths: ['/'], service: 's1' }))).toEqual({
      service: { id: 'missing primary key' },
    });
  });

  test('times are whole seconds, but milliseconds for targets', async () => {
    expect(await insert('consumers', { username: 'a' })).toMatchObject({ created_at: 1_700_000_000 });
    // The last one Kong's database can keep, and the next.
    const last = 9_224_318_015_999;
    expect(await insert('consumers', { username: 'a', created_at: last })).toMatchObject({ created_at: last });
    for (const created_at of [last + 1, 1e300])
      expect(await refusal(insert('consumers', { username: 'a', created_at }))).toEqual({
        created_at: 'expected a valid timestamp',
      });
    const target = await insert('targets', { target: 'a', upstream: { id: ID } });
    expect(target).toMatchObject({ created_at: 1_700_000_000.25, updated_at: 1_700_000_000.25 });
  });
});

describe('routes', () => {
  test('a path that data planes could not compile is refused with its reason', async () => {
    const fields = await refusal(insert('routes', { paths: ['~/a(', '/a/../b', '/a%zz', '~/(?<name>x)$'] }));
    expect(fields).toEqual({
      paths: [
        expect.stringMatching(/^invalid regex: '\/a\(' \(PCRE returned: .+\)$/),
        "non-normalized path, consider use '/b' instead",
        "invalid url-encoded value: '%zz'",
      ],
    });
  });

  test('a header’s regular expression is compiled too', async () => {
    expect(await refusal(insert('routes', { headers: { 'x-a': ['~*a('] } }))).toEqual({
      '@entity': [expect.stringMatching(/^Router Expression failed validation: ./)],
    });
    expect(await insert('routes', { headers: { 'x-a': ['~*a(b|c)'] } })).toBeDefined();
  });
});

describe('routes by expression', () => {
  const write = (input: Row) => completeInsert(expressionRoutes, input, context());

  test('match by an expression or by fields, each with its own priority', async () => {
    expect(await write({ expression: 'http.path ^= "/a"', priority: 3 })).toMatchObject({ priority: 3, paths: null });
    expect(await write({ paths: ['/'], regex_priority: 3 })).toMatchObject({ expression: null, priority: 0 });
    expect(await write({ sources: [{ port: 1 }], paths: ['/'] })).toMatchObject({ sources: [{ ip: null, port: 1 }] });
    const failed = (what: string) => ({
      '@entity': [`Router Expression failed validation: cannot set ${what} simultaneously`],
    });
    const matchers = "'methods', 'hosts', 'paths', 'headers', 'snis', 'sources' or 'destinations'";
    const expression = 'http.path ^= "/a"';
    expect(await refusal(write({ expression, paths: ['/'] }))).toEqual(failed(`'expression' with ${matchers}`));
    expect(await refusal(write({ expression, regex_priority: 1 }))).toEqual(
      failed("'regex_priority' with 'expression'"),
    );
    expect(await refusal(write({ paths: ['/'], priority: 1 }))).toEqual(failed(`'priority' with ${matchers}`));
  });

  test('are refused with what is wrong in the expression', async () => {
    for (const expression of ['http.path ^=', 'nonsense == "a"', 'http.path ~ "("']) {
      expect(await refusal(write({ expression }))).toEqual({
        '@entity': [expect.stringMatching(/^Router Expression failed validation: ./)],
      });
    }
    expect(await write({ expression: 'net.port == 1', protocols: ['tcp'] })).toMatchObject({ protocols: ['tcp'] });
  });

  test('are what the flavour of the router decides', () => {
    expect(entitiesFor('expressions')).toContain(expressionRoutes);
    expect(entitiesFor('traditional_compatible')).not.toContain(expressionRoutes);
  });
});

test('validation alone accepts and refuses as a write would, and answers nothing', async () => {
  expect(await validate(schemaOf('services'), { host: 'h' }, context())).toBeUndefined();
  expect(await refusal(validate(schemaOf('services'), {}, context()))).toEqual({ host: 'required field missing' });
});

test('parents stand before their children in the registry', () => {
  const names = entities.map(({ name }) => name);
  for (const { name, fields } of entities) {
    for (const field of Object.values(fields)) {
      if (field.type !== 'foreign') continue;
      expect(names.indexOf(field.reference), `${name} refers to ${field.reference}`).toBeLessThan(names.indexOf(name));
      expect(names).toContain(field.reference);
    }
  }
});

test('an upstream hashes where it says by what, whatever its algorithm says', async () => {
  const algorithmOf = async (input: Row): Promise<unknown> =>
    (await insert('upstreams', { name: 'u.test', ...input })).algorithm;
  expect(await algorithmOf({ algorithm: 'consistent-hashing' })).toBe('round-robin');
  expect(await algorithmOf({ algorithm: 'consistent-hashing', hash_on: null })).toBe('round-robin');
  expect(await algorithmOf({ algorithm: null })).toBe('round-robin');
  expect(await algorithmOf({ algorithm: 'consistent-hashing', hash_on: 'ip' })).toBe('consistent-hashing');
  expect(await algorithmOf({ algorithm: 'round-robin', hash_on: 'ip' })).toBe('consistent-hashing');
  expect(await algorithmOf({ algorithm: 'latency', hash_on: 'none' })).toBe('latency');
  const hashing = await insert('upstreams', { name: 'u.test', hash_on: 'ip' });
  expect(await patch('upstreams', { algorithm: 'consistent-hashing' }, hashing)).toMatchObject({
    algorithm: 'consistent-hashing',
    hash_on: 'ip',
  });
});

test('a header that a route matches by has values', async () => {
  expect(await refusal(insert('routes', { paths: ['/a'], headers: { 'x-a': [] } }))).toEqual({
    '@entity': ["Router Expression failed validation: the header 'x-a' has no values to match"],
  });
});
