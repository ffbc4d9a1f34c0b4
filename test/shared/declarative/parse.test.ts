import { randomUUID } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { readDocument, UnreadableDocument } from '../../../shared/declarative/document.ts';
import { flattenErrors } from '../../../shared/declarative/flatten-errors.ts';
import { migrateLegacyPath } from '../../../shared/declarative/legacy-paths.ts';
import { InvalidConfig, parseDeclarative, secondsLeft } from '../../../shared/declarative/parse.ts';
import { plugins } from '../../../shared/plugins/registry.ts';
import { declarativeInvalid } from '../../../shared/schema/errors.ts';
import vectors from './vectors.json' with { type: 'json' };

const context = {
  now: () => 1_700_000_000,
  uuid: () => randomUUID(),
  secret: () => 'x'.repeat(32),
  subschema: (entity: string, key: string) => (entity === 'plugins' ? plugins.get(key) : undefined),
};

async function parsed(input: Record<string, unknown>) {
  const { entities } = await parseDeclarative(input, context);
  const plain: Record<string, Record<string, unknown>> = {};
  for (const [name, rows] of entities) {
    plain[name] = Object.fromEntries([...rows].map(([id, { row }]) => [id, row]));
  }
  return plain;
}

async function refused(input: Record<string, unknown>): Promise<InvalidConfig> {
  try {
    await parseDeclarative(input, context);
  } catch (error) {
    if (error instanceof InvalidConfig) return error;
    throw error;
  }
  throw new Error('was accepted');
}

/** OpenSSL's own words differ from build to build; what matters is that the field is refused as such. */
function withoutLibraryTexts(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replace(/invalid (certificate|key): [^"\\]*/g, 'invalid $1: …'));
}

function normal(rows: unknown, template: unknown): unknown {
  if (template === '<now>' && rows === 1_700_000_000) return template;
  if (template === '<random>' && typeof rows === 'string' && rows.length === 32) return template;
  if (typeof template === 'string' && /^<uuid/.test(template) && typeof rows === 'string') return template;
  if (Array.isArray(rows) && Array.isArray(template)) return rows.map((row, i) => normal(row, template[i]));
  if (typeof rows === 'object' && rows !== null && typeof template === 'object' && template !== null) {
    const entries = Object.entries(rows).map(([key, value]) => {
      const same = Object.hasOwn(template, key)
        ? key
        : (Object.keys(template).find((k) => k.startsWith('<uuid')) ?? key);
      return [same, normal(value, Reflect.get(template, same))];
    });
    return Object.fromEntries(entries);
  }
  return rows;
}

describe('declarative config gives what Kong gives', () => {
  for (const [index, vector] of vectors.documents.entries()) {
    const title = 'note' in vector && vector.note ? vector.note : `document ${index + 1}`;
    if ('entities' in vector) {
      it(title, async () => {
        const rows = await parsed(vector.input);
        expect(normal(rows, vector.entities)).toEqual(vector.entities);
      });
    } else {
      it(`refuses: ${title}`, async () => {
        const error = await refused(vector.input);
        expect(withoutLibraryTexts(declarativeInvalid(error.fields).body())).toEqual(withoutLibraryTexts(vector.body));
        const flat = flattenErrors(error);
        const body = { ...declarativeInvalid(flat.fields).body(), flattened_errors: flat.flattened };
        expect(unordered(withoutLibraryTexts(body))).toEqual(
          unordered(withoutLibraryTexts(vector.body_flatten_errors)),
        );
      });
    }
  }
});

/** Kong's order of flattened errors is that of a hash table. */
function unordered(body: unknown): unknown {
  if (Array.isArray(body)) return body.map(unordered).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof body !== 'object' || body === null) return body;
  return Object.fromEntries(
    Object.entries(body)
      .map(([key, value]): [string, unknown] => [key, unordered(value)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

it.each(vectors.legacy_paths)('rewrites the legacy path $input', ({ input, output }) => {
  expect(migrateLegacyPath(input)).toBe(output);
});

it('gives a document the same ids whenever it is loaded', async () => {
  const input = {
    _format_version: '3.0',
    services: [{ name: 's', host: 'h', routes: [{ name: 'r', paths: ['/a'] }] }],
  };
  expect(Object.keys((await parsed(input)).routes ?? {})).toEqual(Object.keys((await parsed(input)).routes ?? {}));
});

it('names references that lead nowhere by the entity that holds them', async () => {
  const { fields } = await refused({ _format_version: '3.0', routes: [{ name: 'r', paths: ['/'], service: 'nope' }] });
  expect(fields).toEqual({ routes: { r: ["invalid reference 'service: nope' (no such entry in 'services')"] } });
});

it('passes over what Kong exports beside its configuration', async () => {
  const rows = await parsed({
    _format_version: '3.0',
    _transform: false,
    parameters: [{ key: 'cluster_id', value: '5d8ae0e4-0a2e-4d4c-9f0d-93a63b6e5a0e', created_at: null }],
    workspaces: [{ name: 'default' }],
    services: [{ host: 'h' }],
  });
  expect(Object.keys(rows)).toEqual(['services']);
  const { fields } = await refused({ _format_version: '3.0', parameters: {}, workspaces: [{ name: 'other' }] });
  expect(fields).toEqual({ parameters: 'expected an array', workspaces: [expect.stringContaining('/workspaces')] });
});

it('takes the time at which Kong’s export says that a credential vanishes', async () => {
  const credentials = [60, context.now() + 3600, context.now() - 3600].map((ttl, i) => ({ key: `k${i}`, ttl }));
  const { entities } = await parseDeclarative(
    { _format_version: '3.0', consumers: [{ username: 'c', keyauth_credentials: credentials }] },
    context,
  );
  const rows = [...(entities.get('keyauth_credentials')?.values() ?? [])];
  expect(rows.map(({ ttl }) => secondsLeft(ttl, context.now()))).toEqual([60, 3600, 1]);
});

it('tells of what is wrong also with names that every object has', async () => {
  const head = { _format_version: '3.0' };
  const dangling = { name: 'key-auth', instance_name: '__proto__', service: 'nobody' };
  const named = await refused({ ...head, plugins: [dangling] });
  expect(JSON.stringify(named.fields)).toMatch(/"__proto__":\["invalid reference 'service: nobody'/);
  const service = JSON.parse('{"host": "h", "__proto__": {"name": "x"}}');
  const inside = await refused({ ...head, services: [service] });
  expect(JSON.stringify(inside.fields)).toBe('{"services":[{"__proto__":"unknown field"}]}');
  const outside = await refused({ ...head, ...JSON.parse('{"__proto__": []}') });
  expect(JSON.stringify(outside.fields)).toBe('{"__proto__":"unknown field"}');
});

it('refuses an id that is no text, instead of making another', async () => {
  const { fields } = await refused({ _format_version: '3.0', services: [{ id: 123456, host: 'h' }] });
  expect(fields).toEqual({ services: [{ id: 'expected a string' }] });
});

it('tells of a parent written out in the place of a reference what is wrong with it', async () => {
  const certificate = { cert: '', key: '', tags: ['t'] };
  const document = { _format_version: '3.0', services: [{ url: 'https://a.test', client_certificate: certificate }] };
  expect(flattenErrors(await refused(document)).flattened).toEqual([
    {
      entity_type: 'certificate',
      entity_tags: ['t'],
      entity: certificate,
      errors: [
        { type: 'field', field: 'cert', message: 'length must be at least 1' },
        { type: 'field', field: 'key', message: 'length must be at least 1' },
      ],
    },
  ]);
});

it.each([
  ['[1, 2', 'failed parsing declarative configuration: '],
  ['just text', 'failed parsing declarative configuration: expected an object'],
  ['a: 1\na: 2', 'failed parsing declarative configuration: '],
  [
    `a: &a [x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [*${i ? `b${i - 1}` : 'a'}, *${i ? `b${i - 1}` : 'a'}]`).join('\n')}`,
    'failed parsing',
  ],
])('refuses text that is no document', (text, message) => {
  expect(() => readDocument(text)).toThrow(UnreadableDocument);
  expect(() => readDocument(text)).toThrow(message);
});

describe("decK's own files", () => {
  it('are told from mistakes', async () => {
    const { fields } = await refused({ _format_version: '3.0', _info: { select_tags: ['a'] }, _nothing: 1 });
    expect(fields).toMatchObject({ _info: expect.stringContaining("decK's own"), _nothing: 'unknown field' });
  });
});

describe('an entity inside another', () => {
  const consumer = (of: unknown) => ({
    _format_version: '3.0',
    consumers: [
      { username: 'ada', keyauth_credentials: [{ key: 'k', consumer: of }] },
      { id: '0fe87b4a-ce29-515a-88ec-8547e66550b9', username: 'bob' },
    ],
  });

  it('may name the one it is in, by name, id or as an object', async () => {
    const { consumers = {} } = await parsed(consumer(null));
    const [id = ''] = Object.entries(consumers).flatMap(([key, row]) => (Object(row).username === 'ada' ? [key] : []));
    for (const of of ['ada', id, id.toUpperCase(), { id }]) {
      const { keyauth_credentials: credentials = {} } = await parsed(consumer(of));
      expect(Object.values(credentials), String(of)).toMatchObject([{ key: 'k', consumer: { id } }]);
    }
  });

  it.each(['nobody', 'bob', '0fe87b4a-ce29-515a-88ec-8547e66550b9', { id: randomUUID() }, 7])(
    'cannot say that it is of another: %j',
    async (of) => {
      expect((await refused(consumer(of))).fields).toEqual({
        consumers: [{ keyauth_credentials: [{ consumer: 'value must be null' }] }],
      });
    },
  );
});

it('tells every reference of a row that leads nowhere, once nothing else is wrong with it', async () => {
  const { fields } = await refused({
    _format_version: '3.0',
    plugins: [{ id: '0fe87b4a-ce29-515a-88ec-8547e66550b9', name: 'cors', service: 'svc', route: 'r' }],
    oauth2_credentials: [{ name: 'c', consumer: 'nobody' }],
  });
  expect(fields).toEqual({
    plugins: {
      '0fe87b4a-ce29-515a-88ec-8547e66550b9': [
        "invalid reference 'service: svc' (no such entry in 'services')",
        "invalid reference 'route: r' (no such entry in 'routes')",
      ].toSorted(),
    },
    oauth2_credentials: { '1': ["invalid reference 'consumer: nobody' (no such entry in 'consumers')"] },
  });
  const unnamed = { _format_version: '3.0', oauth2_credentials: [{ consumer: 'nobody' }] };
  expect((await refused(unnamed)).fields).toEqual({ oauth2_credentials: [{ name: 'required field missing' }] });
});
