import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readDocument } from '../../../shared/declarative/document.ts';
import { exportYaml } from '../../../shared/declarative/export.ts';

describe('YAML', () => {
  it("is read as 1.1, as Kong's reader does: merge keys, yes and off, octal, sexagesimal", () => {
    const text = `
_ignore: &times {connect_timeout: 5000, read_timeout: 0777}
services:
  - <<: *times
    name: "yes"
    enabled: off
    write_timeout: 1:30
    retries: 0b101
    tags: [2020-01-01, 2001-12-14t21:59:43.10-05:00, 0o17, ~, "~"]
`;
    expect(readDocument(text).services).toEqual([
      {
        connect_timeout: 5000,
        read_timeout: 511,
        name: 'yes',
        enabled: false,
        write_timeout: 90,
        retries: 5,
        tags: ['2020-01-01', '2001-12-14t21:59:43.10-05:00', '0o17', null, '~'],
      },
    ]);
  });

  it('refuses a key that comes twice, a second document, and aliases that explode', () => {
    expect(() => readDocument('a: 1\na: 2\n')).toThrow(/unique/);
    expect(() => readDocument('a: 1\n---\nb: 2\n')).toThrow(/multiple documents/);
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let n = 1; n < 9; n++) bomb.push(`a${n}: &a${n} [${`*a${n - 1}, `.repeat(9)}]`);
    expect(() => readDocument(`${bomb.join('\n')}\n`)).toThrow(/alias/i);
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
    expect(parse(written, { version: '1.2', schema: 'core' }).services).toEqual([row]);
  });
});
