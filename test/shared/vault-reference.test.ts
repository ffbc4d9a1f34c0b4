import { describe, expect, it } from 'vitest';
import { certificates } from '../../shared/entities/certificates.ts';
import { plugins } from '../../shared/plugins/registry.ts';
import { entityReferences, pluginReferences, referencesIn, withoutReferences } from '../../shared/reference-fields.ts';
import type { Field, Fields } from '../../shared/schema/vocabulary.ts';
import { environmentVariable, parseReference, referenceProblem, secretPart } from '../../shared/vault-reference.ts';

function* referenceable(field: Field | undefined, path: string): Generator<string> {
  switch (field?.type) {
    case 'string':
      if (field.referenceable) yield path;
      return;
    case 'array':
    case 'set':
      return yield* referenceable(field.elements, `${path}.*`);
    case 'map':
      return yield* referenceable(field.values, `${path}.*`);
    case 'record':
      return yield* referenceableIn(field.fields, `${path}.`);
  }
}

function* referenceableIn(fields: Fields, prefix: string): Generator<string> {
  for (const [name, field] of Object.entries(fields)) yield* referenceable(field, prefix + name);
}

it('data planes follow references in the fields that the schemas call referenceable, no more and no less', () => {
  const declared = [...plugins].map(([name, { fields }]) => {
    const { config } = fields;
    return [name, config?.type === 'record' ? [...referenceableIn(config.fields, '')] : []] as const;
  });
  expect(pluginReferences).toEqual(Object.fromEntries(declared.filter(([, paths]) => paths.length > 0)));
  expect(entityReferences).toEqual({ certificates: [...referenceableIn(certificates.fields, '')] });
});

describe('a reference', () => {
  it.each([
    ['{vault://env/my-secret}', { vault: 'env', resource: 'my-secret', key: null, version: null }],
    ['{vault://env/cert/key?prefix=SSL_#2}', { resource: 'cert', key: 'key', options: { prefix: 'SSL_' }, version: 2 }],
    ['{vault://aws/a/b%2Fc/d%20e}', { vault: 'aws', resource: 'a/b/c', key: 'd e' }],
    ['{vault://env/a/}', { resource: 'a', key: null }],
    ['{vault://env/%e0%a0}', { resource: '%e0%a0' }],
  ])('%s is read as Kong reads it', (text, parts) => expect(parseReference(text)).toMatchObject(parts));

  it.each([
    ['{vault://env}', 'reference url is missing path'],
    ['{vault:///x}', 'reference url is missing host'],
    ['{vault://env//}', 'reference url has empty path'],
    ['{vault://env/x#y}', 'reference url has invalid version'],
    ['vault://env/x', 'not a reference'],
  ])('%s is none', (text, why) => {
    expect(parseReference(text)).toBeNull();
    expect(referenceProblem(text)).toBe(`${why} [${text}]`);
  });

  it('names a variable of the environment', () => {
    const named = (text: string, prefix: string | null) => {
      const reference = parseReference(text);
      return reference === null ? null : environmentVariable(reference, prefix);
    };
    expect(named('{vault://env/my-key}', null)).toBe('MY_KEY');
    expect(named('{vault://app/my-key#2}', 'app-x_')).toBe('APP_X_MY_KEY_PREVIOUS');
  });

  it('with a key means a text of a JSON object, and what is wrong with it is told without the secret', () => {
    expect(secretPart('{"a":"b"}', 'a')).toEqual({ value: 'b' });
    for (const secret of ['{"secret":1}', '[]', 'secret', 'null', '{"a":{}}'])
      expect(Object.keys(secretPart(secret, 'a'))).toEqual(['problem']);
    expect(JSON.stringify(secretPart('{"s3cret":', 'a'))).not.toContain('s3cret');
    expect(secretPart('{}', '__proto__')).toHaveProperty('problem');
  });

  it('is replaced in its fields alone', () => {
    const row = {
      id: '1',
      name: 'http-log',
      config: { http_endpoint: 'http://x', headers: { a: '{vault://env/a}', b: 'c' }, content_type: '{vault://env/b}' },
    };
    const bundled = () => false;
    expect(referencesIn('plugins', row, bundled)).toEqual(['{vault://env/a}']);
    expect(withoutReferences('plugins', row, bundled, () => 'S')).toEqual({
      ...row,
      config: { ...row.config, headers: { a: 'S', b: 'c' } },
    });
  });

  it('is replaced anywhere in the config of a plugin that came with it', () => {
    const row = { id: '1', name: 'own', config: { list: [{ deep: '{vault://env/a}' }], b: '{vault://env/b}', c: 1 } };
    const sent = () => true;
    expect(referencesIn('plugins', row, sent)).toEqual(['{vault://env/a}', '{vault://env/b}']);
    expect(withoutReferences('plugins', row, sent, () => 'S')).toEqual({
      ...row,
      config: { list: [{ deep: 'S' }], b: 'S', c: 1 },
    });
  });
});
