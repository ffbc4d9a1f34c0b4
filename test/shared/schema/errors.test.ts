import { describe, expect, test } from 'vitest';
import * as errors from '../../../shared/schema/errors.ts';

describe('messages', () => {
  test('count and list what is wrong, whole-row errors first, fields by name', () => {
    const error = errors.schemaViolation({
      name: 'c',
      config: { b: 'd', a: 'e' },
      tags: [null, 'f'],
      '@entity': ['a', 'b'],
    });
    expect(error.message).toBe('6 schema violations (a; b; config.a: e; config.b: d; name: c; tags.2: f)');
    expect(error.status).toBe(400);
  });

  test('print what is nested deeper as Lua would', () => {
    const error = errors.schemaViolation({
      config: { list: [null, { 'a-b': 'x', end: 'y' }, null, 'say "hi"'], text: { long: 'two\nlines ]]' } },
    });
    expect(error.message).toBe(
      [
        '2 schema violations (config.list: {',
        '  [2] = {',
        '    ["a-b"] = "x",',
        '    ["end"] = "y"',
        '  },',
        '  [4] = "say \\"hi\\""',
        '}; config.text: {',
        '  long = [=[two',
        'lines ]]]=]',
        '})',
      ].join('\n'),
    );
  });

  test('print texts of many brackets', () => {
    const text = '[['.repeat(200_000);
    expect(errors.schemaViolation({ config: { list: { text } } }).message).toContain(`text = [=[${text}]=]`);
  });

  test('name a missing row by what it was looked up by', () => {
    expect(errors.notFound({ id: 'x' }).message).toBe(`could not find the entity with primary key '{id="x"}'`);
    expect(errors.notFound({ name: 'x' }).message).toBe(`could not find the entity with '{name="x"}'`);
    expect(errors.notFound({ name: 'x' }).status).toBe(404);
  });

  test('list references that lead nowhere', () => {
    const error = errors.foreignKeysUnresolved([
      { field: 'service', name: 'name', value: 'b', parent: 'services' },
      { field: 'consumer', name: 'username', value: 'a', parent: 'consumers' },
    ]);
    expect(error.message).toMatch(/^2 foreign keys unresolved \(consumer\.username: .+; service\.name: .+\)$/);
    expect(error.body()).toMatchObject({
      code: 13,
      fields: { service: { name: expect.stringContaining('{name="b"}') } },
    });
  });
});

describe('bodies', () => {
  test('carry fields, options or neither, as their code has it', () => {
    expect(errors.invalidOffset('x', 'bad base64 encoding').body()).toEqual({
      code: 7,
      name: 'invalid offset',
      message: "'x' is not a valid offset: bad base64 encoding",
    });
    expect(errors.invalidUnique('username', 'length must be at least 1').body()).toEqual({
      code: 10,
      name: 'invalid unique username',
      message: 'length must be at least 1',
    });
    expect(errors.foreignKeyViolationRestricted('services', 'routes').body()).toEqual({
      code: 4,
      name: 'foreign key violation',
      message: "an existing 'routes' entity references this 'services' entity",
      fields: { '@referenced_by': 'routes' },
    });
    expect(errors.declarativeInvalid({ services: ['x'] }).body()).toMatchObject({
      code: 14,
      message: 'declarative config is invalid: {services={"x"}}',
    });
  });
});
