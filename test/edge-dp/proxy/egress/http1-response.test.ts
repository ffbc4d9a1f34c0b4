import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../../edge-dp/proxy/egress/byte-reader.ts';
import { readResponseHead, responseBody } from '../../../../edge-dp/proxy/egress/http1-response.ts';

/** A connection on which these bytes come, in parts of so many, and then its end. */
function reader(bytes: string, part: number): ByteReader {
  const rest = Buffer.from(bytes, 'latin1');
  let at = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= rest.length) return controller.close();
      controller.enqueue(new Uint8Array(rest.subarray(at, at + part)));
      at += part;
    },
  });
  return new ByteReader(stream, 5_000);
}

/** What is read of a response: status, body, and by what it failed. */
async function read(bytes: string, method: string, part: number) {
  let status: number | null = null;
  let body = '';
  try {
    const from = reader(bytes, part);
    const head = await readResponseHead(from, method);
    status = head.status;
    const text = new TextDecoder();
    for await (const chunk of responseBody(from, head.framing)) body += text.decode(chunk, { stream: true });
    return { status, body, failure: null };
  } catch (error) {
    return { status, body, failure: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
const LONG = 'x'.repeat(128 << 10);

/** However the bytes are cut up on their way, they read the same. */
describe.each([[1], [7], [1 << 20]])('a response in parts of %d bytes', (part) => {
  it.each<[what: string, bytes: string, body: string, method?: string]>([
    ['a body of known length, and not a byte more', `${OK}Content-Length: 5\r\n\r\nhello, world`, 'hello'],
    ['an empty body', `${OK}Content-Length: 0\r\n\r\n`, ''],
    ['a body until the connection ends', `${OK}\r\nhello`, 'hello'],
    [
      'chunks, with an extension, blanks, capitals and trailers',
      `${CHUNKED}5;a=b\r\nhello\r\nA \r\n, 12345678\r\n0\r\nX: y\r\n\r\nmore`,
      'hello, 12345678',
    ],
    ['chunked in another case', `${OK}transfer-encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`, 'ok'],
    ['HTTP/1.0', 'HTTP/1.0 200\r\n\r\nhello', 'hello'],
    ['a field without blanks, and one with many', `${OK}A:b\r\nContent-Length: \t 5 \t\r\n\r\nhello`, 'hello'],
    ['a field with blanks within', `${OK}A: b${' '.repeat(60 << 10)}c\r\nContent-Length: 5\r\n\r\nhello`, 'hello'],
    ['no body to HEAD', `${OK}Content-Length: 5\r\n\r\nhello`, '', 'HEAD'],
    ['no body of a 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello', ''],
    ['no body of a 304', 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n', ''],
    [
      'interim responses before it',
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n${OK}\r\nhello`,
      'hello',
    ],
  ])('has %s', async (_, bytes, body, method = 'GET') => {
    expect(await read(bytes, method, part)).toMatchObject({ body, failure: null });
  });

  it.each([
    [
      'Content-Length beside Transfer-Encoding',
      `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
      'both Content-Length',
    ],
    [
      'the same the other way round',
      `${OK}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
      'both Content-Length',
    ],
    ['two lengths that differ', `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk`, 'malformed Content-Length'],
    ['two lengths that agree', `${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`, 'malformed Content-Length'],
    ['a length in hex', `${OK}Content-Length: 0x5\r\n\r\nhello`, 'malformed Content-Length'],
    ['a signed length', `${OK}Content-Length: +5\r\n\r\nhello`, 'malformed Content-Length'],
    ['another coding below', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 'unknown transfer coding'],
    [
      'chunked twice',
      `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      'unknown transfer coding',
    ],
    ['a switch of protocols nobody asked for', 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n', 'switched protocols'],
    ['interim responses without end', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(20), 'too many interim responses'],
    ['another protocol', 'SSH-2.0-OpenSSH\r\n', 'no HTTP/1.1 status line'],
    ['HTTP/2', 'HTTP/2 200\r\n\r\n', 'no HTTP/1.1 status line'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', 'no HTTP/1.1 status line'],
    ['a status that begins with 0', 'HTTP/1.1 000 OK\r\n\r\n', 'no HTTP/1.1 status line'],
    ['a blank before the colon', `${OK}Content-Length : 5\r\n\r\nhello`, 'malformed header field'],
    ['a folded line', `${OK}A: b\r\n c: d\r\n\r\n`, 'malformed header field'],
    ['a line that is no field', `${OK}nothing\r\n\r\n`, 'malformed header field'],
    ['a line that ends in LF alone', `${OK}A: b\n\r\n`, 'line without CR'],
    ['a CR in the middle of a line', `${OK}A: b\rC: d\r\n\r\n`, 'control character'],
    ['a NUL', `${OK}A: b\0\r\n\r\n`, 'control character'],
    ['fields without end', `${OK}${'A: b\r\n'.repeat(1_001)}\r\n`, 'too many header fields'],
  ])('is refused for %s', async (_, bytes, failure) => {
    const seen = await read(bytes, 'GET', part);
    expect(seen.failure).toContain(`ProtocolError: ${failure}`);
    expect(seen.body).toBe('');
  });

  it.each([
    ['in the status line', 'HTTP/1.1 200 O', null, ''],
    ['in a field', `${OK}Content-Le`, null, ''],
    ['before the blank line', `${OK}Content-Length: 5\r\n`, null, ''],
    ['in a body of known length', `${OK}Content-Length: 10\r\n\r\nhello`, 200, 'hello'],
    ['before a body of known length', `${OK}Content-Length: 10\r\n\r\n`, 200, ''],
    ['in a chunk', `${CHUNKED}a\r\nhello`, 200, 'hello'],
    ['behind a chunk', `${CHUNKED}5\r\nhello`, 200, 'hello'],
    ['between chunks', `${CHUNKED}5\r\nhello\r\n`, 200, 'hello'],
    ['in a chunk size', `${CHUNKED}5\r\nhello\r\n1`, 200, 'hello'],
    ['in the trailers', `${CHUNKED}5\r\nhello\r\n0\r\nA: b`, 200, 'hello'],
    ['before the last line', `${CHUNKED}5\r\nhello\r\n0\r\n`, 200, 'hello'],
  ])('does not look complete when it is cut off %s', async (_, bytes, status, body) => {
    const seen = await read(bytes, 'GET', part);
    expect(seen).toMatchObject({ status, body });
    expect(seen.failure).toContain('ConnectionClosed: ');
  });

  it.each([
    ['is longer than its size', `${CHUNKED}2\r\noks\r\n0\r\n\r\n`, 'chunk longer than its size'],
    ['is much longer than its size', `${CHUNKED}2\r\nhello\r\n0\r\n\r\n`, 'line too long'],
    ['has a size that is none', `${CHUNKED}5\r\nhello\r\nzz\r\n`, 'malformed chunk size'],
    ['has a negative size', `${CHUNKED}-5\r\nhello\r\n0\r\n\r\n`, 'malformed chunk size'],
    ['has a size beyond all numbers', `${CHUNKED}${'f'.repeat(13)}\r\n`, 'malformed chunk size'],
    ['has an extension without end', `${CHUNKED}5;${'x'.repeat(5_000)}\r\nhello`, 'line too long'],
    ['is followed by trailers that are none', `${CHUNKED}0\r\nnothing\r\n\r\n`, 'malformed header field'],
  ])('fails where a chunk %s', async (_, bytes, failure) => {
    expect((await read(bytes, 'GET', part)).failure).toContain(`ProtocolError: ${failure}`);
  });
});

it('takes a head of 128 KB and no longer one, in one field or in many', async () => {
  const field = (bytes: number) => `X: ${LONG.slice(0, bytes)}\r\n`;
  const whole = (fields: string) => read(`${OK}${fields}\r\nok`, 'GET', 1 << 16);
  expect(await whole(field(120 << 10))).toMatchObject({ body: 'ok' });
  expect((await whole(field(128 << 10))).failure).toContain('line too long');
  expect((await whole(field(40 << 10).repeat(4))).failure).toContain('line too long');
});
