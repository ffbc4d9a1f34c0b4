import { describe, expect, it } from 'vitest';
import { routes } from '../../shared/entities/routes.ts';
import { upstreams } from '../../shared/entities/upstreams.ts';
import { expressionsOf, type HeadPart, headProblem } from '../../shared/head.ts';
import { headFieldProblem, headFields } from '../../shared/head-fields.ts';
import { plugins } from '../../shared/plugins/registry.ts';
import type { Field, Fields } from '../../shared/schema/vocabulary.ts';

function* declared(field: Field | undefined, path: string): Generator<[string, HeadPart]> {
  switch (field?.type) {
    case 'string':
      if (field.head) yield [path, field.head];
      return;
    case 'array':
    case 'set':
      return yield* declared(field.elements, `${path}.*`);
    case 'map':
      yield* declared(field.keys, `${path}.@`);
      return yield* declared(field.values, `${path}.*`);
    case 'record':
      return yield* declaredIn(field.fields, `${path}.`);
  }
}

function* declaredIn(fields: Fields, prefix: string): Generator<[string, HeadPart]> {
  for (const [name, field] of Object.entries(fields)) yield* declared(field, prefix + name);
}

it('data planes check what the schemas say stands in the head of messages, no more and no less', () => {
  const schemas = new Map<string, Fields>([
    ['routes', routes.fields],
    ['upstreams', upstreams.fields],
    ...[...plugins].map(([name, { fields }]) => {
      const { config } = fields;
      return [name, config?.type === 'record' ? config.fields : {}] as const;
    }),
  ]);
  const declaredFields = [...schemas].map(([name, fields]) => [name, Object.fromEntries(declaredIn(fields, ''))]);
  const withSome = Object.fromEntries(declaredFields.filter(([, parts]) => Object.keys(parts ?? {}).length > 0));
  expect(headFields).toEqual(withSome);
});

describe('what may stand in a head', () => {
  it.each<[HeadPart, string]>([
    ['name', 'X-Any.Token~1'],
    ['value', 'Zürich\t東京 č'],
    ['value', '{vault://env/key}'],
    ['template', 'a $(headers["x"]\n) b'],
    ['name:template', 'x:$(\nquery_params.y)'],
    ['name:value', 'x:a:b'],
    ['name:value', 'x'],
    ['name:name', 'x:y'],
  ])('%s %j', (part, text) => expect(headProblem(part, text)).toBeUndefined());

  it.each<[HeadPart, string, string]>([
    ['name', '', '"" cannot be the name of a header'],
    ['name', 'X Y', '"X Y" cannot be the name of a header'],
    ['name', 'é', 'letters, digits'],
    ['value', 'a\r\nX-Evil: 1', 'control character U+000D (at position 2)'],
    ['value', 'a\0', 'U+0000'],
    ['value', '\x7f', 'U+007F'],
    ['value', '\x85', 'U+0085'],
    ['template', '$(a)\n', 'U+000A'],
    ['template', '$(a\n', 'U+000A'],
    ['name:template', 'x:$(a)\r$(b)', 'U+000D'],
    ['name:value', 'x y:a', '"x y" cannot'],
    ['name:name', 'x:y z', '"y z" cannot'],
    ['name:name', 'x:y:z', '"y:z" cannot'],
  ])('not %s %j', (part, text, why) => expect(headProblem(part, text)).toContain(why));

  it('finds the outermost templates, and only those that are closed', () => {
    const found = (text: string) => expressionsOf(text).map(({ start, end }) => text.slice(start, end));
    expect(found('a$(b(c)$(d))e$(f)$(g')).toEqual(['$(b(c)$(d))', '$(f)']);
    expect(found('(a$(b))')).toEqual(['$(b)']);
    expect(found(`${'$('.repeat(50_000)}x`)).toEqual([]);
  });

  it('tells the place in a row', () => {
    expect(headFieldProblem('http-log', { headers: { 'X Y': '' } })).toMatch(/^headers\.@: "X Y"/);
    expect(headFieldProblem('cors', { exposed_headers: ['a', 'b\n'] })).toMatch(/^exposed_headers\.\*: .*U\+000A/);
    expect(headFieldProblem('ai-proxy', { auth: { header_name: '{vault://env/name}' } })).toBeUndefined();
    expect(headFieldProblem('ai-proxy', { auth: { header_name: '{vault://env/n\r\n}' } })).toBeDefined();
    expect(headFieldProblem('unheard-of', { realm: '\n' })).toBeUndefined();
  });
});
