import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ProxyNode, responses, route, service, startProxyNode, statuses } from './node.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const INTERIM = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n';

/** What upstreams answer, by the last part of the path; `ends`: and then they end the connection. */
const answers: Readonly<Record<string, { readonly bytes: string; readonly ends?: boolean }>> = {
  'http-1.0': { bytes: 'HTTP/1.0 200 OK\r\n\r\nhello', ends: true },
  'no-length': { bytes: `${OK}Connection: close\r\n\r\nhello`, ends: true },
  'no-content': { bytes: 'HTTP/1.1 204 No Content\r\n\r\n' },
  'not-modified': { bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n' },
  'latin-1': { bytes: `${OK}X-A: caf\xe9\r\nContent-Length: 5\r\n\r\nhello` },
  'large-header': { bytes: `${OK}X-A: ${'x'.repeat(100_000)}\r\nContent-Length: 5\r\n\r\nhello` },
  'huge-header': { bytes: `${OK}X-A: ${'x'.repeat(300_000)}\r\nContent-Length: 5\r\n\r\nhello`, ends: true },
  garbage: { bytes: 'SSH-2.0-OpenSSH\r\n', ends: true },
  continue: { bytes: `HTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 5\r\n\r\nhello` },
  hints: { bytes: `${INTERIM}${INTERIM}${OK}Content-Length: 5\r\n\r\nhello` },
  'hints-then-chunks': { bytes: `${INTERIM}${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n` },
  'hints-then-no-length': { bytes: `${INTERIM}${OK}\r\nhello`, ends: true },
  'hints-then-nothing': { bytes: INTERIM },
  'hints-then-garbage': { bytes: `${INTERIM}SSH-2.0-OpenSSH\r\n`, ends: true },
  'unasked-switch': {
    bytes: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nfoo',
    ends: true,
  },
  'status-999': { bytes: 'HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nno' },
  'status-000': { bytes: 'HTTP/1.1 000 Odd\r\nContent-Length: 2\r\n\r\nno', ends: true },
  'unknown-coding': { bytes: `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, ends: true },
  'length-that-is-none': { bytes: `${OK}Content-Length: x\r\n\r\nhello`, ends: true },
  'space-in-a-name': { bytes: `${OK}X A: 1\r\nContent-Length: 5\r\n\r\nhello`, ends: true },
  'short-body': { bytes: `${OK}Content-Length: 10\r\n\r\nhello`, ends: true },
  'malformed-chunk': { bytes: `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n`, ends: true },
};

describe.each([
  ['natively', '/native'],
  ['through the egress process', '/egress'],
])('answers of upstreams %s', (_, way) => {
  let upstream: Upstream;
  let node: ProxyNode;

  beforeAll(async () => {
    upstream = await startUpstream(({ line }, socket) => {
      const answer = answers[/\/([\w.-]+) HTTP/.exec(line)?.[1] ?? ''];
      if (answer?.ends !== true) return answer?.bytes ?? `${OK}Content-Length: 4\r\n\r\nnext`;
      socket.end(answer.bytes, 'latin1');
      return undefined;
    });
    node = await startProxyNode({
      services: [service(1, upstream.port, { retries: 0, read_timeout: 2_000 })],
      routes: [route(1, '/native', 1), route(2, '/egress', 1, { preserve_host: true })],
    });
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
  });

  /** The answer, and the next one on the same connection. */
  const ask = async (what: string) => {
    const get = (path: string): string => `GET ${way}/${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
    return await node.raw(get(what) + get('clean'), { answers: 2 });
  };

  it.each<[what: string, status: number, body: string]>([
    ['http-1.0', 200, 'hello'],
    ['no-length', 200, 'hello'],
    ['no-content', 204, ''],
    ['not-modified', 304, ''],
    ['large-header', 200, 'hello'],
    ['hints', 200, 'hello'],
    ...(way === '/native' ? [['continue', 200, 'hello'] satisfies [string, number, string]] : []),
  ])('passes on %s, and the next one after it', async (what, status, body) => {
    expect(responses((await ask(what)).text)).toMatchObject([
      { status, body },
      { status: 200, body: 'next' },
    ]);
  });

  it('passes on what follows hints as it comes: chunks, a body without a length, a late or missing rest', async () => {
    for (const what of ['hints-then-chunks', 'hints-then-no-length'])
      expect(responses((await ask(what)).text), what).toMatchObject([
        { status: 200, body: 'hello' },
        { status: 200, body: 'next' },
      ]);
    for (const what of ['hints-then-nothing', 'hints-then-garbage'])
      expect(responses((await ask(what)).text), what).toMatchObject([
        { status: expect.toSatisfy((status) => status === 502 || status === 504) },
        { status: 200, body: 'next' },
      ]);
  });

  it('passes on bytes above 0x7f in a header as they are', async () => {
    expect((await ask('latin-1')).text).toContain('\r\nX-A: caf\xe9\r\n');
  });

  it.each([
    ['huge-header'],
    ['garbage'],
    ['unasked-switch'],
    ['status-999'],
    ['status-000'],
    ['unknown-coding'],
    ['length-that-is-none'],
    ['space-in-a-name'],
    ...(way === '/egress' ? [['continue']] : []),
  ])('answers 502 to %s, and the next request as ever', async (what) => {
    expect(responses((await ask(what)).text)).toMatchObject([{ status: 502 }, { status: 200, body: 'next' }]);
  });

  it.each([['short-body'], ['malformed-chunk']])('ends the connection after a %s', async (what) => {
    const { text, closed } = await ask(what);
    expect(statuses(text)).toEqual([200]);
    expect(text).toContain('hello');
    expect(closed).toBe(true);
  });
});
