import { describe, expect, it } from 'vitest';
import { validationContext } from '../../../../cp/admin/discovery/validation-context.ts';
import { foreignChanges, merged } from '../../../../cp/gui/web/config/conflict.ts';
import { errorsAt, errorsOf, standing } from '../../../../cp/gui/web/config/errors.ts';
import { KINDS, kindByName, rowPath } from '../../../../cp/gui/web/config/kinds.ts';
import { groupedPlugins, wordsOf } from '../../../../cp/gui/web/config/plugin-words.ts';
import {
  changeBody,
  creationBody,
  type FormField,
  fieldsOf,
  formValues,
  initialValues,
  same,
} from '../../../../cp/gui/web/config/schema.ts';
import { withoutSecrets, withSecrets } from '../../../../cp/gui/web/config/secrets.ts';
import { curlOf, deckDocument } from '../../../../cp/gui/web/config/text-forms.ts';
import { partsOfUrl } from '../../../../cp/gui/web/config/url-parts.ts';
import { entities, entity } from '../../../../shared/entities/registry.ts';
import { plugins } from '../../../../shared/plugins/registry.ts';
import { recordOrEmpty } from '../../../../shared/record.ts';
import { completeInsert } from '../../../../shared/schema/complete.ts';
import { printSchema } from '../../../../shared/schema/print.ts';

const printed = new Map(
  [
    ...entities.map((schema) => [schema.name, schema] as const),
    ...[...plugins].map(([name, plugin]) => [`plugin ${name}`, plugin] as const),
  ].map(([name, schema]) => [name, fieldsOf(JSON.parse(JSON.stringify(printSchema(schema))))]),
);

function* everyField(fields: readonly FormField[]): Generator<FormField> {
  for (const field of fields) {
    yield field;
    yield* everyField(field.fields);
    if (field.elements !== null) yield* everyField([field.elements]);
  }
}

const fieldsFor = (name: string): readonly FormField[] => printed.get(name) ?? expect.fail(`no schema ${name}`);
const named = (fields: readonly FormField[], path: string): FormField => {
  const [first, ...rest] = path.split('.');
  const field = fields.find(({ name }) => name === first) ?? expect.fail(`no field ${path}`);
  return rest.length === 0 ? field : named(field.fields, rest.join('.'));
};

describe('the form of every entity and plugin', () => {
  it('has an input for each field, lists and maps with one for what is in them, and references that lead to a page', () => {
    for (const [name, fields] of printed) {
      for (const field of everyField(fields)) {
        const where = `${name}: ${field.name}`;
        if (field.widget === 'list' || field.widget === 'map') expect(field.elements, where).not.toBeNull();
        if (field.widget === 'choices') expect(field.options, where).not.toEqual([]);
        if (field.widget === 'reference') expect(field.reference, where).not.toBeNull();
      }
    }
    for (const { name } of KINDS) {
      for (const field of fieldsFor(name)) {
        if (field.reference !== null) expect(kindByName(field.reference), `${name}.${field.name}`).toBeDefined();
      }
    }
  });

  it('asks for no plugin setting that is already as it should be: untouched, it makes what the name alone makes', async () => {
    const context = validationContext(null);
    const schema = entity('plugins') ?? expect.fail('no plugins');
    const outcome = async (row: object) => {
      try {
        const { id: _, created_at: __, updated_at: ___, ...rest } = await completeInsert(schema, { ...row }, context);
        return rest;
      } catch (error) {
        return String(error);
      }
    };
    for (const name of plugins.keys()) {
      const fields = fieldsFor(`plugin ${name}`);
      const values = initialValues(fields);
      expect(creationBody(fields, values), name).toEqual({});
      const whole = await outcome({ name, ...creationBody(fields, values) });
      expect(whole, name).toEqual(await outcome({ name }));
      if (typeof whole === 'string') continue;
      // And what is stored is in the form as it is.
      expect(changeBody(fields, formValues(fields, whole), formValues(fields, whole)), name).toEqual({});
    }
  });

  it('hides what is secret, and only that', () => {
    const secret = (name: string, path: string) => named(fieldsFor(name), path).secret;
    for (const [name, path] of [
      ['certificates', 'key'],
      ['keyauth_credentials', 'key'],
      ['basicauth_credentials', 'password'],
      ['plugin rate-limiting', 'config.redis.password'],
      ['plugin session', 'config.secret'],
      ['plugin aws-lambda', 'config.aws_secret'],
    ] as const) {
      expect(secret(name, path), `${name} ${path}`).toBe(true);
    }
    for (const [name, path] of [
      ['certificates', 'cert'],
      ['plugin key-auth', 'config.key_names'],
      ['plugin oauth2', 'config.token_expiration'],
      ['plugin key-auth', 'config.hide_credentials'],
    ] as const) {
      expect(secret(name, path), `${name} ${path}`).toBe(false);
    }
  });
});

describe('a draft', () => {
  it('is kept without secrets, wherever they are, and has those that are stored when it is taken up again', () => {
    const redis = (password: string, host: string) => ({ config: { minute: 5, redis: { host, password } } });
    const rate = fieldsFor('plugin rate-limiting');
    const typed = formValues(rate, redis('typed', 'r'));
    const kept = withoutSecrets(rate, typed);
    expect(JSON.stringify(kept)).not.toContain('typed');
    expect(withSecrets(rate, kept, formValues(rate, redis('stored', 's')))).toEqual(
      formValues(rate, redis('stored', 'r')),
    );
    const values = new Map<string, unknown>([
      ['text', 'SECRET'],
      ['lines', 'SECRET'],
    ]);
    const filled = (field: FormField): unknown => {
      if (field.widget === 'record') return Object.fromEntries(field.fields.map((one) => [one.name, filled(one)]));
      if (field.elements !== null && field.widget === 'map') return { a: filled(field.elements) };
      if (field.elements !== null) return [filled(field.elements)];
      return field.secret ? values.get(field.widget) : null;
    };
    for (const [name, fields] of printed) {
      const all = Object.fromEntries(fields.map((field) => [field.name, filled(field)]));
      expect(JSON.stringify(withoutSecrets(fields, all)), name).not.toContain('SECRET');
      expect(withSecrets(fields, withoutSecrets(fields, all), all), name).toEqual(all);
    }
  });
});

describe('what is sent', () => {
  const fields = fieldsFor('services');

  it('is what differs from what would be by itself', () => {
    const values = { ...initialValues(fields), name: 'a', host: 'h', port: 8080, path: '', tags: [] };
    expect(creationBody(fields, values)).toEqual({ name: 'a', host: 'h', port: 8080, tags: [] });
    const rate = fieldsFor('plugin rate-limiting');
    const wanted = initialValues(rate);
    const config = {
      ...(wanted.config as object),
      minute: 5,
      redis: { host: 'r', port: 6379, timeout: 2000, database: 0, ssl: false, ssl_verify: false },
    };
    expect(creationBody(rate, { ...wanted, config })).toEqual({ config: { minute: 5, redis: { host: 'r' } } });
  });

  it('says of what was emptied that it is so: left out, it would be as it is by itself', async () => {
    const jwt = fieldsFor('plugin jwt');
    const wanted = initialValues(jwt);
    const config = { ...recordOrEmpty(wanted.config), uri_param_names: null, key_claim_name: '' };
    const body = creationBody(jwt, { ...wanted, config });
    expect(body).toEqual({ config: { uri_param_names: null, key_claim_name: null } });
    const schema = entity('plugins') ?? expect.fail('no plugins');
    const made = await completeInsert(schema, { name: 'jwt', ...body }, validationContext(null));
    expect(made.config).toMatchObject({ uri_param_names: null, key_claim_name: null });
    // What must be there, and what is filled in, is left to the control plane.
    const keys = fieldsFor('keyauth_credentials');
    expect(creationBody(keys, { ...initialValues(keys), key: '' })).toEqual({});
    const services = { ...initialValues(fields), host: 'h', protocol: null, retries: null };
    expect(creationBody(fields, services)).toEqual({ host: 'h', retries: null });
  });

  it('leaves an empty text that is stored as it is, whatever else of the record is changed', () => {
    const acme = fieldsFor('plugin acme');
    const row = {
      config: { fail_backoff_minutes: 5, storage_config: { redis: { extra_options: { namespace: '' } } } },
    };
    const from = formValues(acme, row);
    const to = { ...from, config: { ...recordOrEmpty(from.config), fail_backoff_minutes: 7 } };
    expect(changeBody(acme, from, to)).toMatchObject({
      config: { fail_backoff_minutes: 7, storage_config: { redis: { extra_options: { namespace: '' } } } },
    });
    expect(changeBody(acme, from, from)).toEqual({});
  });

  it('goes to the row that is shown, whatever characters its name has', () => {
    const consumers = kindByName('consumers') ?? expect.fail('no consumers');
    expect(rowPath(consumers, { id: 'a?b/c#%', username: 'alice?old' })).toBe('/consumers/a%3Fb%2Fc%23%25');
    const targets = kindByName('targets') ?? expect.fail('no targets');
    expect(rowPath(targets, { id: 't', upstream: { id: 'u/1' } })).toBe('/upstreams/u%2F1/targets/t');
  });

  it('of a change is the fields that changed, null for those that were emptied', () => {
    const from = { ...initialValues(fields), name: 'a', host: 'h', path: '/x', tags: ['t'] };
    expect(changeBody(fields, from, { ...from, path: '', tags: ['t', 'u'] })).toEqual({ path: null, tags: ['t', 'u'] });
    expect(changeBody(fields, from, { ...from })).toEqual({});
  });

  it('can be had as a curl command of a shell, and as a decK file without what nobody writes', () => {
    expect(curlOf('POST', "http://a/it's", { name: "x'; rm -rf /" })).toBe(
      `curl -X POST 'http://a/it'\\''s' \\\n  -H 'content-type: application/json' \\\n  -d '{"name":"x'\\''; rm -rf /"}'`,
    );
    expect(
      deckDocument([
        { entity: 'certificates', row: { id: 'c', snis: ['a.test'] } },
        { entity: 'services', row: { id: 'i', path: null, created_at: 1, updated_at: 2, a: [{ b: null, c: 1 }] } },
      ]),
    ).toEqual({ _format_version: '3.0', certificates: [{ id: 'c' }], services: [{ id: 'i', a: [{ c: 1 }] }] });
    expect(deckDocument([{ entity: 'certificates', row: { id: 'c', snis: ['a.test'] } }])).toMatchObject({
      certificates: [{ id: 'c', snis: [{ name: 'a.test' }] }],
    });
    // decK reads these within what they belong to alone.
    expect(
      deckDocument([
        { entity: 'consumers', row: { id: 'a', username: 'ada' } },
        { entity: 'keyauth_credentials', row: { id: 'k', key: 'sesame', consumer: { id: 'a' } } },
      ]),
    ).toEqual({
      _format_version: '3.0',
      consumers: [{ id: 'a', username: 'ada', keyauth_credentials: [{ id: 'k', key: 'sesame' }] }],
    });
  });

  it('takes an address apart as Kong takes url apart', () => {
    expect(partsOfUrl('https://orders.internal/v1')).toEqual({
      protocol: 'https',
      host: 'orders.internal',
      port: 443,
      path: '/v1',
    });
    expect(partsOfUrl(' http://10.0.0.1:8080/ ')).toEqual({
      protocol: 'http',
      host: '10.0.0.1',
      port: 8080,
      path: null,
    });
    expect(partsOfUrl('https://a:80/x')).toEqual({ protocol: 'https', host: 'a', port: 80, path: '/x' });
    expect(partsOfUrl('https://a/x:80/y')).toEqual({ protocol: 'https', host: 'a', port: 443, path: '/x:80/y' });
    expect(partsOfUrl('grpc://a:50051')).toEqual({ protocol: 'grpc', host: 'a', port: 50051, path: null });
    for (const text of ['', 'orders', 'ftp://a', 'tcp://a', 'http://']) expect(partsOfUrl(text), text).toBeNull();
  });
});

describe('what the Admin API refuses', () => {
  it('is told at the field it is about: in records, lists and maps, and where a rule of the whole row names it', () => {
    const errors = errorsOf({
      host: 'required field missing',
      tags: ['required field missing', 'required field missing'],
      config: {
        redis: { port: 'value should be between 0 and 65535', '@entity': ['host is missing'] },
        rename: [null, 'expected a string'],
      },
      '@entity': ["at least one of these fields must be non-empty: 'config.second', 'config.minute'"],
    });
    expect(errors.own).toContain('at least one of');
    expect(errorsAt(errors, 'host').own).toBe('required field missing');
    expect(errorsAt(errors, 'tags').own).toBe('required field missing');
    const config = errorsAt(errors, 'config');
    expect(errorsAt(config, 'minute').own).toContain('at least one of');
    expect(errorsAt(errorsAt(config, 'redis'), 'port').own).toContain('between');
    expect(errorsAt(config, 'redis').own).toBe('host is missing');
    expect(errorsAt(errorsAt(config, 'rename'), 1).own).toBe('expected a string');
    expect(errorsAt(errorsAt(config, 'rename'), 0).own).toBeNull();
  });
});

describe('what was refused', () => {
  it('is said of what was sent, and no longer of a value that is another by now', () => {
    const sent = { host: '', paths: ['a', 'b'], config: { redis: { port: 1, host: 'h' }, second: null } };
    const errors = errorsOf({
      host: 'required field missing',
      paths: [null, 'should start with: /'],
      config: { redis: { port: 'too low', '@entity': ['either'] }, '@entity': ['one of'] },
      '@entity': ["at least one of: 'config.second'"],
    });
    const after = (now: object) => standing(errors, sent, { ...sent, ...now });
    expect(after({})).toEqual(errors);
    expect(after({ host: 'h' }).inside).not.toHaveProperty('host');
    expect(after({ host: 'h' }).inside).toMatchObject({ paths: errors.inside.paths, config: errors.inside.config });
    expect(after({ paths: ['a', '/b'] }).inside).not.toHaveProperty('paths');
    const { config } = after({ config: { ...sent.config, redis: { port: 1, host: 'other' } } }).inside;
    expect(config).toEqual({ redis: { port: 'too low' }, second: "at least one of: 'config.second'" });
    expect(after({ host: 'h' }).own).toBe(errors.own);
  });
});

describe('two who change one row', () => {
  const fields = fieldsFor('services');
  const opened = formValues(fields, { host: 'h', port: 80, tags: ['a'], retries: 5 });
  const stored = { ...opened, port: 81, tags: ['a', 'b'] };

  it('see what the other did, and of what both changed, both', () => {
    const mine = { ...opened, port: 82, retries: 1 };
    expect(foreignChanges(fields, opened, stored, mine).map(({ field, contested }) => [field, contested])).toEqual([
      ['port', true],
      ['tags', false],
    ]);
    expect(merged(fields, opened, stored, mine)).toMatchObject({ port: 82, retries: 1, tags: ['a', 'b'] });
    expect(foreignChanges(fields, opened, stored, stored)).toEqual([]);
  });

  it('are told field by field within the settings of a plugin, and neither loses what the other set', () => {
    const fields = fieldsFor('plugin rate-limiting');
    const config = { ...recordOrEmpty(initialValues(fields).config), minute: 5 };
    const opened = { ...initialValues(fields), config };
    const stored = { ...opened, config: { ...config, hour: 100, minute: 7 } };
    const mine = { ...opened, config: { ...config, minute: 6, policy: 'cluster' } };
    expect(foreignChanges(fields, opened, stored, mine)).toEqual([
      { field: 'config.minute', before: 5, theirs: 7, mine: 6, contested: true },
      { field: 'config.hour', before: null, theirs: 100, mine: null, contested: false },
    ]);
    expect(merged(fields, opened, stored, mine).config).toMatchObject({ minute: 6, hour: 100, policy: 'cluster' });
  });

  it('are not told of the other where null and nothing are the same', () => {
    expect(same({ a: null }, {})).toBe(true);
    expect(same([null], [])).toBe(false);
    expect(same({ a: [1, { b: 2 }] }, { a: [1, { b: 2, c: null }] })).toBe(true);
  });
});

it('has words for every plugin that comes with the gateway, and finds them by what they do', () => {
  for (const name of plugins.keys()) expect(wordsOf(name).group, name).not.toBe('Your own');
  expect(groupedPlugins(['key-auth', 'cors', 'mine'], 'browser')).toEqual([['How much, and for whom', ['cors']]]);
  expect(groupedPlugins(['mine', 'key-auth'], '')).toEqual([
    ['Who may call', ['key-auth']],
    ['Your own', ['mine']],
  ]);
});
