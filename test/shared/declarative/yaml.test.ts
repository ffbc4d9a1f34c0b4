import { expect, it } from 'vitest';
import { parse } from 'yaml';

import { readDocument } from '../../../shared/declarative/document.ts';
import { exportYaml } from '../../../shared/declarative/export.ts';
import { readYaml } from '../../../shared/declarative/yaml.ts';
import { readYamlInParts } from '../../../shared/declarative/yaml-parts.ts';

/** As lyaml 6.2.8, which Kong 3.9 reads with, told them. */
const SCALARS: readonly (readonly [string, unknown])[] = [
  ...['true', 'True', 'TRUE', 'yes', 'Yes', 'YES', 'on', 'On', 'ON'].map((text) => [text, true] as const),
  ...['false', 'no', 'No', 'NO', 'off', 'Off', 'OFF'].map((text) => [text, false] as const),
  ...['', '~', 'null', 'Null', 'NULL'].map((text) => [text, null] as const),
  ...['0777', '0_777'].map((text) => [text, 511] as const),
  ...[
    ['0', 0],
    ['08', 8],
    ['+1', 1],
    ['-7', -7],
    ['1_000', 1000],
    ['_1', 1],
    ['1_', 1],
  ].map(([a, b]) => [String(a), b] as const),
  ...[
    ['0x1F', 31],
    ['-0x1F', -31],
    ['0b11', 3],
    ['190:20:30', 685_230],
    ['1:30', 90],
    ['-1:30', -90],
  ].map(([a, b]) => [String(a), b] as const),
  ...[
    ['1:30.5', 90.5],
    ['1.', 1],
    ['.5', 0.5],
    ['-.5', -0.5],
    ['1e3', 1000],
    ['1.5e3', 1500],
    ['685.230_15e+03', 685_230.15],
  ].map(([a, b]) => [String(a), b] as const),
  ...['.inf', '.Inf', '.INF'].map((text) => [text, Number.POSITIVE_INFINITY] as const),
  ...[
    'y',
    'n',
    'Y',
    'oN',
    'nil',
    '0o17',
    '-0b1',
    '1e',
    '0x',
    '2001-12-14',
    '=',
    '<<',
    '1.2.3',
    '10.0.0.1:80',
    'a:b',
  ].map((text) => [text, text] as const),
];

it.each(SCALARS)('reads a plain %s as Kong does', (text, value) => {
  expect(readYaml(`a: ${text}\n`)).toEqual({ a: value });
});

it('reads what is quoted, in a block, or said to be a text as text, and keys as they are written', () => {
  expect(readYaml(`a: "yes"\nb: '0777'\nc: |-\n  on\nd: !!str 1_000\ne: !!float 3\non: 1\n12:30: 2\n5: 3\n`)).toEqual({
    a: 'yes',
    b: '0777',
    c: 'on',
    d: '1_000',
    e: 3,
    on: 1,
    '12:30': 2,
    5: 3,
  });
});

it('merges maps into others, of which what they say themselves stays', () => {
  const text = 'd: &d {a: 1, b: 2}\ne: &e {a: 3, c: 4}\nm: {b: 9, <<: [*d, *e]}\nn:\n  <<: *d\n  a: 9\n';
  expect(readYaml(text)).toMatchObject({ m: { a: 1, b: 9, c: 4 }, n: { a: 9, b: 2 } });
  expect(() => readYaml('m: {<<: 5}\n')).toThrow(/merge/i);
});

it('uses an anchor thousands of times, and refuses a document that explodes', () => {
  const uses = Array.from({ length: 5_000 }, () => '- *p').join('\n');
  expect(readYaml(`_ignore: [&p {name: key-auth}]\nplugins:\n${uses}\n`)).toMatchObject({
    plugins: expect.arrayContaining([{ name: 'key-auth' }]),
  });
  const bomb = Array.from({ length: 12 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array(9).fill(`*a${n}`).join(', ')}]`);
  expect(() => readYaml(`a0: &a0 x\n${bomb.join('\n')}\n`)).toThrow(/alias.* \(line 8\)/);
  const names = Array.from({ length: 2_000 }, (_, n) => `n${n}: 1`).join(', ');
  expect(() => readYaml(`a: &a {${names}}\nb:\n${'- <<: *a\n'.repeat(1_000)}`)).toThrow(/alias/);
});

it.each(['a: &a [*a]\n', 'a: &a\n- name: one\n  tags: *a\n', '&a\na:\n  b: {c: *a}\n', 'a: &a {<<: *a}\n'])(
  'refuses a document that has itself in it: %j',
  (text) => {
    expect(() => readDocument(text)).toThrow(/alias \*a stands within what it is an alias of \(line \d\)/);
  },
);

it('gives an alias what had its anchor last, in keys and merges, too', () => {
  const text = 'a: &x one\nb: [*x, &x two, *x]\n*x : three\nc: {<<: &y {d: &z 1}}\ne: *y\nf: *z\n';
  expect(readYaml(text)).toEqual({ a: 'one', b: ['one', 'two', 'two'], two: 'three', c: { d: 1 }, e: { d: 1 }, f: 1 });
  expect(() => readYaml('a: *x\nb: &x 1\n')).toThrow(/alias.* x/);
});

it('reads many names of one map, and many aliases, without comparing each with all others', () => {
  const names = Array.from({ length: 100_000 }, (_, n) => `n${n}: 1\n`).join('');
  expect(Object.keys(Object(readYaml(names)))).toHaveLength(100_000);
  expect(() => readYaml(`${names}n7: 2\n`)).toThrow(/unique \(line 100001\)/);
  expect(readYaml(`a: &a x\nb:\n${'- *a\n'.repeat(100_000)}`)).toMatchObject({ b: { length: 100_000 } });
});

it('says what is wrong with a text that is no document, and in which line', () => {
  for (const [text, words] of [
    ['a: 1\na: 2\n', /unique.*line 2/],
    ['a: 1\n---\nb: 2\n', /multiple documents/],
    ['a: [1\n', /line \d/],
  ] as const) {
    expect(() => readDocument(text), text).toThrow(words);
  }
});

it('is written so that readers of 1.1 and of 1.2 find the texts that were stored', async () => {
  const texts = [
    'yes',
    'no',
    'On',
    'off',
    'y',
    'n',
    'true',
    '~',
    'null',
    '',
    '0777',
    '0o17',
    '0x1f',
    '0b1',
    '1_000',
    '1:30',
    '12:30:45',
    '1e3',
    '.5',
    '.inf',
    '.NaN',
    '+1',
    '-0',
    '2020-01-01',
    '2001-12-14t21:59:43.10-05:00',
    '<<',
    '=',
    '# no',
    'a: b',
    '- x',
    '*x',
    '&x',
    '!x',
    '%x',
    'größe',
    '\u{1f600}',
    'a\nb',
    '\t',
    ' x ',
    '"',
    "'",
    '[',
    '{',
    '@',
    '`',
    '\u0085',
    '\u2028',
  ];
  const row = { id: '00000000-0000-4000-8000-000000000001', name: 'on', tags: texts };
  let written = '';
  for await (const piece of exportYaml(async function* (entity) {
    if (entity === 'services') yield row;
  })) {
    written += piece;
  }
  expect(readDocument(written).services).toEqual([row]);
  expect(parse(written, { version: '1.1' }).services).toEqual([row]);
  expect(parse(written, { version: '1.1' }).services).toEqual([row]);
  expect(parse(written, { version: '1.2', schema: 'core' }).services).toEqual([row]);
});

/** What either reader makes of a text, its complaint included. */
const outcome = async (read: () => unknown) => {
  try {
    return { value: await read() };
  } catch (error) {
    return { error: String(error) };
  }
};

const PLAIN = `# of people
---
_format_version: "3.0"
# services
services: # all of them
- name: one
  # with a dash
  # - name: none
  url: "http://one.test/
    two"
  tags: [a,
    - b]
- name: two
  text: |
    - name: in a text

      - more
    services:
  routes:
  - paths: ['~/a*b', "*.test"]
    name: r & s
  -
    name: alone
-
  name: three

consumers:
    - username: ada
    # between
    - {username: eve,
       tags: [x]}
    - 'just a text'
    - - nested
      - list
plugins: []
upstreams:
vaults:
  - name: >-
      folded
      - text
`;

it.each<[string, string]>([
  ['lists plainly below their names', PLAIN],
  ['lines as Windows ends them', PLAIN.replaceAll('\n', '\r\n')],
  ['no end of its last line', PLAIN.trimEnd()],
  ['lists in entries', 'a:\n- b:\n  - one\n  - two\n- c:\n    - - three\n      - four\n'],
  ['anchors', 'a:\n- &x {n: 1}\n- two\nb:\n- *x\n'],
  ['merge keys', '_ignore: [&x {n: 1}]\nb:\n- <<: *x\n- <<: {m: 2}\n'],
  ['a name twice', 'a:\n- 1\nb:\n- 2\na:\n- 3\n'],
  ['a name twice in an entry', 'a:\n- n: 1\n- n: 2\n  n: 3\n'],
  ['an error far down', `a:\n${'- n: 1\n'.repeat(50)}- n: [\n`],
  ['an entry too far left', 'a:\n  - 1\n  - 2\n - 3\n'],
  ['an entry too far right', 'a:\n  - 1\n  - 2\n   - 3\n'],
  ['a name in a list', 'a:\n  - 1\n  b: 2\n'],
  ['text that goes on at the margin', 'a:\n- "one\n- two"\n- three\n'],
  ['a list in brackets over lines', 'a:\n- [1,\n- 2]\n- 3\n'],
  ['names in quotes', '"a":\n- 1\n- 2\n'],
  ['names that are none in YAML', 'on:\n- 1\n- 2\nnull: 3\n'],
  ['two documents', 'a:\n- 1\n---\nb:\n- 2\n'],
  ['a list alone', '- 1\n- 2\n'],
  ['a text alone', 'just a text\nof two lines\n'],
  ['a byte order mark', '\ufeffa:\n- 1\n- 2\n'],
  ['an end that is said', 'a:\n- 1\n- 2\n...\n'],
  ['tabs', 'a:\n-\t1\n-\t2\n- n:\t3\n'],
  ['tags', 'a:\n- !!str 1\n- !!float 2\n- 0777\n'],
  ['nothing', ''],
])('reads a document in parts as it does at once: %s', async (_, text) => {
  const whole = await outcome(() => readYaml(text));
  for (const part of [1, 12, 1_000]) {
    expect(await outcome(() => readYamlInParts(text, { long: 0, part }))).toEqual(whole);
  }
});

it('lets other work go on while it reads a long document', async () => {
  let turns = 0;
  const other = setInterval(() => turns++, 0);
  const text = `services:\n${'- {name: one, tags: [a, b, c]}\n'.repeat(40_000)}`;
  try {
    expect(await readYamlInParts(text)).toMatchObject({ services: { length: 40_000 } });
  } finally {
    clearInterval(other);
  }
  expect(turns).toBeGreaterThan(5);
});
