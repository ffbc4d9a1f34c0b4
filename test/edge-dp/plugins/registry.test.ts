import { expect, it } from 'vitest';

import { plugins } from '../../../edge-dp/plugins/registry.ts';
import { entity } from '../../../shared/entities/registry.ts';
import { plugins as schemas } from '../../../shared/plugins/registry.ts';
import { recordOrEmpty } from '../../../shared/record.ts';
import { completeInsert } from '../../../shared/schema/complete.ts';
import type { Field } from '../../../shared/schema/vocabulary.ts';
import { context } from '../../shared/schema/context.ts';
import { pluginSamples } from '../../shared/schema/samples.ts';
import { EVERYWHERE, fakeServices } from './fakes.ts';

it.each([...plugins.values()].map((plugin) => [plugin.name, plugin] as const))(
  'runs %s in the place and at the version that the control plane knows it by',
  (name, { version, priority }) => {
    expect(schemas.get(name)).toMatchObject({ version, priority });
  },
);

/** Texts that one reader or another stumbles over: patterns, addresses, URLs, templates, Lua, JSON, base64. */
const ODD_TEXTS = [
  ...[
    '(',
    '[z-a]',
    '[]',
    '(?=a)',
    '(?<=a)b',
    '\\',
    '*',
    '**',
    '^',
    '|',
    `${'(a+)+$'.repeat(50)}`,
    '\\p{Foo}',
    'a{2000}',
  ],
  ...[
    '01.2.3.4',
    '1.2.3.4.5',
    '256.1.1.1',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '::',
    '::1',
    '[::1]',
    '[::1',
    '::ffff:1.2.3.4/128',
  ],
  ...['fe80::1%eth0', 'xn--a', 'ü.example', 'a..b', 'a:99999', 'a b', '-', '.', '..', '/', '//', '?', '#', '/a?b#c'],
  ...[
    'http://[',
    'http://[::1]:0',
    'http://a:99999',
    'http://a b/',
    'http://%zz/',
    'http://a/%',
    'http://',
    'mailto:a',
  ],
  ...['http://xn--a/', 'http://1.2.3.4.5/', 'http://a:$(headers.port)/', 'http://u:p@ss@h/'],
  ...['$(', '$(x', '$(nil)', '$((((', '{{', '{{x', '%', '%s%d', 'return', 'return 1 +', 'error("x")'],
  ...[
    'null',
    '{',
    '{}',
    '[1]',
    '{"a":',
    '"',
    "'",
    '1e999',
    'NaN',
    '!!',
    'YWJj',
    '{"client_email":1}',
    'a'.repeat(9000),
  ],
];
const ODD_NUMBERS = [0, -1, 0.5, 1, 100, 999, 65_536, 2 ** 31, 2 ** 53, 1e15, 1e308];

/** What may stand in a field alone, with the field's place: `[]` is an entry of a list, `{}` a key of a map, `x` its value. */
function places(
  field: Field,
  path: readonly string[],
): (readonly [path: readonly string[], values: readonly unknown[]])[] {
  switch (field.type) {
    case 'string':
      return [[path, field.one_of ?? ODD_TEXTS]];
    case 'number':
    case 'integer':
      return [[path, ODD_NUMBERS]];
    case 'boolean':
      return [[path, [true, false]]];
    case 'array':
    case 'set':
      return places(field.elements, [...path, '[]']);
    case 'map':
      return [[[...path, '{}'], ODD_TEXTS], ...places(field.values, [...path, 'x'])];
    case 'record':
      return Object.entries(field.fields).flatMap(([name, inner]) => places(inner, [...path, name]));
    default:
      return [];
  }
}

function placed(config: unknown, [step, ...rest]: readonly string[], value: unknown): unknown {
  if (step === undefined) return value;
  if (step === '[]') return [placed(undefined, rest, value)];
  if (step === '{}') return { [String(value)]: 'a' };
  const before = recordOrEmpty(config);
  return { ...before, [step]: placed(before[step], rest, value) };
}

it.each(pluginSamples)(
  'takes no config of $name that data planes would refuse with all else',
  async ({ name, config }) => {
    const [schema, row] = [schemas.get(name)?.fields.config, entity('plugins')];
    if (schema === undefined || row === undefined) return expect.fail(`there is no schema of ${name}`);
    const all = places(schema, []);
    const flags = all.filter(([path, values]) => values.includes(true) && !path.includes('[]'));
    const flagged = flags.reduce<unknown>((before, [path]) => placed(before, path, true), config);
    const llm = { auth: { gcp_use_service_account: true }, model: { name: 'm', provider: 'gemini' } };
    let taken = 0;
    for (const base of [config, flagged, ...(name === 'ai-proxy' ? [{ ...config, ...llm }] : [])]) {
      for (const [path, values] of all) {
        for (const value of values) {
          const input = { name, config: placed(base, path, value) };
          const complete = await completeInsert(row, input, context()).catch(() => null);
          if (complete === null) continue;
          taken++;
          const compile = () => plugins.get(name)?.compile(complete.config, EVERYWHERE, fakeServices());
          expect(compile, `${path.join('.')}: ${JSON.stringify(value)}`).not.toThrow();
        }
      }
    }
    expect(taken).toBeGreaterThan(0);
  },
);
