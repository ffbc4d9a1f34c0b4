import { describe, expect, test } from 'vitest';
import { ResponseReader } from '../../../../edge-dp/hosts/egress/http1-reader.ts';

/** What is read of bytes that come in parts of a size. */
function read(text: string, size: number, { method = 'GET', ends = false } = {}) {
  const seen = {
    interim: [] as unknown[],
    heads: [] as unknown[],
    body: '',
    trailers: null as readonly string[] | null,
    rest: '',
  };
  const reader = new ResponseReader({
    onInterim: ({ status, headers }) => seen.interim.push([status, headers.join('|')]),
    onHead: ({ status, reason, headers, persistent }) =>
      seen.heads.push([status, reason, headers.join('|'), persistent]),
    onBody: (part) => {
      seen.body += part.toString('latin1');
    },
    onEnd: (trailers) => {
      seen.trailers = trailers;
    },
  });
  reader.expect(method);
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; at += size)
    seen.rest += reader.read(bytes.subarray(at, at + size))?.toString('latin1') ?? '';
  return { ...seen, complete: seen.trailers !== null || (ends && reader.close()) };
}

const lines = (...all: string[]): string => all.join('\r\n');

describe('a response of HTTP/1 is the same however it is cut', () => {
  test.each([
    [
      'with a length',
      lines('HTTP/1.1 200 OK', 'A: \t1 \t', 'a:', 'Content-Length: 5', '', 'hello'),
      'hello',
      [200, 'OK', 'A|1|a||Content-Length|5', true],
    ],
    [
      'in chunks',
      lines('HTTP/1.1 200', 'Transfer-Encoding: Chunked', '', '5;x="1"', 'hello', '0A ', '0123456789', '0', '', ''),
      'hello0123456789',
      [200, '', 'Transfer-Encoding|Chunked', true],
    ],
    [
      'until the connection ends',
      lines('HTTP/1.0 200 OK', '', 'all of it\r\n\r\n'),
      'all of it\r\n\r\n',
      [200, 'OK', '', false],
    ],
    [
      'behind interim ones',
      lines(
        'HTTP/1.1 103 Early Hints',
        'Link: </a>',
        '',
        'HTTP/1.1 100 Continue',
        '',
        'HTTP/1.1 204 No\xe9',
        'Connection: X, Close',
        '',
        '',
      ),
      '',
      [204, 'No\xe9', 'Connection|X, Close', false],
    ],
  ])('%s', (_name, text, body, head) => {
    for (const size of [text.length, 1, 2, 3, 7]) {
      const seen = read(text, size, { ends: true });
      expect({ body: seen.body, heads: seen.heads, complete: seen.complete, rest: seen.rest }).toEqual({
        body,
        heads: [head],
        complete: true,
        rest: '',
      });
      expect(seen.interim).toEqual(text.includes(' 103 ') ? [[103, 'Link|</a>']] : []);
    }
  });

  test('trailers, and what follows a response', () => {
    const text = lines(
      'HTTP/1.1 200 OK',
      'Transfer-Encoding: chunked',
      '',
      '1',
      'x',
      '0',
      'Checked: yes',
      'b:2',
      '',
      'HTTP/1.1 200 Forged',
      '',
      '',
    );
    for (const size of [text.length, 1, 5]) {
      const { trailers, body, rest } = read(text, size);
      expect([body, trailers?.join('|')]).toEqual(['x', 'Checked|yes|b|2']);
      expect(rest).toBe(lines('HTTP/1.1 200 Forged', '', ''));
    }
  });

  test('no body behind HEAD, and none before the connection ends in the middle of it', () => {
    expect(read(lines('HTTP/1.1 200 OK', 'Content-Length: 5', '', ''), 1, { method: 'HEAD' })).toMatchObject({
      body: '',
      complete: true,
    });
    expect(read(lines('HTTP/1.1 200 OK', 'Content-Length: 5', '', 'hell'), 1, { ends: true }).complete).toBe(false);
    expect(
      read(lines('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '5', 'hello'), 1, { ends: true }).complete,
    ).toBe(false);
    expect(read(lines('HTTP/1.1 200 OK', 'Content-Length: 5'), 1, { ends: true }).complete).toBe(false);
  });
});

const head = (...fields: string[]): string => lines('HTTP/1.1 200 OK', ...fields, '', '');
const chunks = (text: string): string => head('Transfer-Encoding: chunked') + text;

test.each([
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['another version', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['no status', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['lines that end in LF', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'],
  ['a CR in a value', head('A: b\rContent-Length: 5')],
  ['a NUL in a value', head('A: b\0')],
  ['a continued line', head('A: b', ' c')],
  ['a blank before the colon', head('Content-Length : 5')],
  ['a line without colon', head('Content-Length')],
  ['no name', head(': 5')],
  ['two lengths', head('Content-Length: 5', 'Content-Length: 5')],
  ['a list of lengths', head('Content-Length: 5, 5')],
  ['a signed length', head('Content-Length: +5')],
  ['length and chunks', head('Content-Length: 5', 'Transfer-Encoding: chunked')],
  ['an unknown coding', head('Transfer-Encoding: gzip, chunked')],
  ['two codings', head('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')],
  ['a chunk size that is none', chunks('0x5\r\nhello\r\n0\r\n\r\n')],
  ['a chunk size that ends in LF', chunks('5\nhello\r\n0\r\n\r\n')],
  ['a chunk longer than its size', chunks('4\r\nhello\r\n0\r\n\r\n')],
  ['a head without end', `HTTP/1.1 200 OK\r\nA: ${'a'.repeat(140_000)}`],
  ['lines without end', head(...Array.from({ length: 1001 }, () => 'a:'))],
  ['interim responses without end', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(30)],
])('refused: %s', (_name, text) => {
  for (const size of [text.length, 1000])
    expect(() => read(text, size)).toThrow(expect.objectContaining({ name: 'NotHttp' }));
});
