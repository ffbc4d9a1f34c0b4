import { describe, expect, it } from 'vitest';
import { parseBodyArguments } from '../../../edge-dp/http/arguments/body-arguments.ts';
import { queryValues, withoutArgument } from '../../../edge-dp/proxy/query.ts';

const FORM = 'application/x-www-form-urlencoded; charset=utf-8';
const JSON_TYPE = 'application/json';

/** The body's values of `key`, and the body without it; both over latin1, one character a byte. */
function cut(contentType: string, body: string, name = 'key') {
  const found = parseBodyArguments(contentType, Buffer.from(body, 'latin1'));
  if (found === null) return null;
  return { values: found.values(name), rest: Buffer.from(found.without(name)).toString('latin1') };
}

describe('fields of a form', () => {
  it.each([
    ['a=1&key=k&b=2', ['k'], 'a=1&b=2'],
    ['key=k&a=1', ['k'], 'a=1'],
    ['a=1&key=k', ['k'], 'a=1'],
    ['key=k', ['k'], ''],
    ['', [], ''],
    ['&&a&key=a+b%2b&&', ['a b+'], '&&a&&'],
    ['key=1&key=2&key', ['1', '2', true], ''],
    ['%6bey=k&a=%c3%A9+%zz%', ['k'], 'a=%c3%A9+%zz%'],
    ['a=%FF%00&key=k&b=\xff\x00\xe9', ['k'], 'a=%FF%00&b=\xff\x00\xe9'],
    ['?key=1&keys=2&ke=y', [], '?key=1&keys=2&ke=y'],
  ])('are found in %j and cut out, every other byte as it was', (body, values, rest) => {
    expect(cut(FORM, body)).toEqual({ values, rest });
  });

  it('are looked at up to the hundredth, and cut out wherever they are', () => {
    const others = Array.from({ length: 100 }, (_, n) => `a${n}=`).join('&');
    expect(cut(FORM, `${others}&key=k`)).toEqual({ values: [], rest: others });
  });
});

describe('members of a JSON object', () => {
  it.each([
    [
      '{"id":12345678901234567890,"key":"k","n":1.10,"e":1E400}',
      ['k'],
      '{"id":12345678901234567890,"n":1.10,"e":1E400}',
    ],
    ['{"key":"k"}', ['k'], '{}'],
    ['{ "key" : "k" , "b" : [1, 2] }', ['k'], '{ "b" : [1, 2] }'],
    ['{\n  "a": 1,\n  "key": "k"\n}\n', ['k'], '{\n  "a": 1\n}\n'],
    ['{"key":"first","a":0,"key":"last","a":1}', ['last'], '{"a":0,"a":1}'],
    ['{"\\u006bey":"\\u006b","a":"\\u00e9\\/\\ud800"}', ['k'], '{"a":"\\u00e9\\/\\ud800"}'],
    ['\xef\xbb\xbf{"key":"k","a":"\xc3\xa9\xff"}', ['k'], '\xef\xbb\xbf{"a":"\xc3\xa9\xff"}'],
    ['{"a":{"key":"}\\"{"},"key":"k","b":[{"key":1}]}', ['k'], '{"a":{"key":"}\\"{"},"b":[{"key":1}]}'],
    ['{"a\\\\":"\\\\","key":"k","b":true}', ['k'], '{"a\\\\":"\\\\","b":true}'],
    ['{"key":["k"],"a":-0}', [true, true], '{"a":-0}'],
    ['{"key":7,"a":null}', [], '{"a":null}'],
    ['{"__proto__":{"key":"k"}}', [], '{"__proto__":{"key":"k"}}'],
    ['{"a":NaN,"key":"k","b":0x10}', ['k'], '{"a":NaN,"b":0x10}'],
    ['{"a\t":"\n","key":"k"}', ['k'], '{"a\t":"\n"}'],
    ['{}', [], '{}'],
  ])('are found in %j and cut out, every other byte as it was', (body, values, rest) => {
    expect(cut(JSON_TYPE, body)).toEqual({ values, rest });
  });

  it.each(['', '[{"key":"k"}]', '"key"', '{"key":"k"', '{"key":"k"}x', "{'key':'k'}"])('are none in %j', (body) => {
    expect(cut(JSON_TYPE, body)).toBeNull();
  });
});

describe('parts of a multipart form', () => {
  const part = (name: string, content: string, more = '') =>
    `--B\r\nContent-Disposition: form-data; name="${name}"\r\n${more}\r\n${content}\r\n`;
  const meta = part('meta', '{"a":1}', 'Content-Type: application/json\r\nX-Part: 1\r\n');
  const file = `--B\r\nCONTENT-DISPOSITION:form-data;filename="a; name=\\"key\\".bin"; name=f\r\n\r\n\x00\xff\r\n--Bx\r\n--B\r`;
  const type = 'multipart/form-data; boundary=B';

  it.each([
    ['between others', `${meta}${part('key', 'k')}${file}\r\n--B--\r\n`, ['k'], `${meta}${file}\r\n--B--\r\n`],
    [
      'behind a preamble, before an epilogue',
      `pre\r\namble\r\n${part('key', 'k')}${meta}--B--\r\nepi\r\n--B\r\nlogue`,
      ['k'],
      `pre\r\namble\r\n${meta}--B--\r\nepi\r\n--B\r\nlogue`,
    ],
    ['alone', `${part('key', 'k')}--B--`, ['k'], '--B--'],
    ['twice', `${part('key', '1')}${meta}${part('key', '2\r\n')}--B--\r\n`, ['1', '2\r\n'], `${meta}--B--\r\n`],
    ['as a file', `${part('key"; filename="k', 'k')}--B--\r\n`, [], '--B--\r\n'],
    ['without quotes', '--B\r\ncontent-disposition: form-data; name=key\r\n\r\nk\r\n--B--\r\n', ['k'], '--B--\r\n'],
    [
      'in a folded field',
      '--B\r\nContent-Disposition: form-data;\r\n name="key"\r\n\r\nk\r\n--B--\r\n',
      ['k'],
      '--B--\r\n',
    ],
    ['with blanks behind the boundary', `--B \t\r\n${part('key', 'k').slice(5)}--B-- \r\n`, ['k'], '--B-- \r\n'],
    [
      'beside a part without fields',
      `--B\r\n\r\nkey\r\n${part('key', 'k')}--B--\r\n`,
      ['k'],
      '--B\r\n\r\nkey\r\n--B--\r\n',
    ],
    [
      'in a part with two names, and one that is none',
      '--B\r\nContent-Disposition: form-data; name=a; filename*="; name=b"; name="key"\r\n\r\nk\r\n--B--\r\n',
      ['k'],
      '--B--\r\n',
    ],
    [
      'in a part of another kind',
      '--B\r\nContent-Disposition : attachment; x; name="key"\r\n\r\nk\r\n--B--\r\n',
      ['k'],
      '--B--\r\n',
    ],
    ['in no part', `${meta}--B--\r\n`, [], `${meta}--B--\r\n`],
  ])('are found %s and cut out, every other byte as it was', (_where, body, values, rest) => {
    expect(cut(type, body)).toEqual({ values, rest });
  });

  it.each([
    ['multipart/form-data; charset=utf-8; Boundary="a:b c\\"d"', '--a:b c"d'],
    ["Multipart/Form-Data;boundary='()+_,-./=?'", "--'()+_,-./=?'"],
  ])('are found whatever the boundary: %s', (contentType, delimiter) => {
    const body = `${part('key', 'k')}${meta}--B--\r\n`.replaceAll('--B', delimiter);
    expect(cut(contentType, body)?.values).toEqual(['k']);
    expect(cut(contentType, body)?.rest).toBe(`${meta}--B--\r\n`.replaceAll('--B', delimiter));
  });

  it('are found by what servers take for line ends and for the end, and behind parameters of the type that are none', () => {
    const body = `${meta}${part('key', 'k')}`;
    const fed = `${body}--B--\r\n`.replaceAll('\r\n', '\n');
    expect(cut(type, fed)).toEqual({ values: ['k'], rest: `${meta}--B--\r\n`.replaceAll('\r\n', '\n') });
    expect(cut(type, body.slice(0, -2))).toEqual({ values: ['k'], rest: meta });
    expect(cut(type, `${part('key', 'k')}${meta}`)).toEqual({ values: ['k'], rest: meta });
    const bare = '--B\r\nContent-Disposition: form-data; name="key"\r\n--B--\r\n';
    expect(cut(type, bare)).toEqual({ values: [''], rest: '--B--\r\n' });
    expect(cut('multipart/form-data; charset; boundary=B', `${body}--B--\r\n`)?.values).toEqual(['k']);
  });

  it('are none without a boundary or a delimiter', () => {
    expect(cut('multipart/form-data', `${meta}--B--\r\n`)).toBeNull();
    expect(cut('multipart/form-data; boundary=""', '----\r\n')).toBeNull();
    expect(cut(type, 'key=k')).toBeNull();
    expect(cut(type, '--B')).toBeNull();
    expect(cut(type, '')).toBeNull();
  });

  it('are names in UTF-8, escaped as browsers do', () => {
    const name = Buffer.from('a"b€', 'utf8').toString('latin1');
    expect(cut(type, `${part(name.replace('"', '%22'), 'k')}--B--\r\n`, 'a"b€')?.values).toEqual(['k']);
    expect(cut(type, `${part(name.replace('"', '\\"'), 'k')}--B--\r\n`, 'a"b€')?.values).toEqual(['k']);
  });
});

describe('arguments of a query', () => {
  it.each([
    ['a=%41&key=k&b=x+y%20z&&', 'a=A&b=x+y+z'],
    ['key=k', ''],
    ['flag&k%65y=k&x=%c3%a9%ff%2f~*', 'flag=&x=%C3%A9%FF%2F%7E*'],
    ['key&a=1=2&%', 'a=1%3D2&%25='],
    // Nothing to cut out: nothing is changed.
    ['a=%41&&flag&keys=1', 'a=%41&&flag&keys=1'],
  ])('are cut out of %s, the rest as Kong writes it', (query, rest) => {
    expect(withoutArgument(query, 'key')).toBe(rest);
  });

  it('are looked at up to the hundredth', () => {
    const others = Array.from({ length: 99 }, (_, n) => `a${n}`).join('&');
    expect(queryValues(`${others}&&key=k`, 'key')).toEqual(['k']);
    expect(queryValues(`${others}&b&key=k`, 'key')).toEqual([]);
  });
});
