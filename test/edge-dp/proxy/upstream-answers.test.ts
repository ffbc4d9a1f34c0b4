import { get } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMiniflareHost } from '../../../edge-dp/hosts/miniflare/host.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { type ProxyNode, responses, route, service, startProxyNode, statuses } from './node.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const INTERIM = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n';

/** What upstreams answer, by the last part of the path; `ends`: and then they end the connection. */
const answers: Readonly<Record<string, { readonly bytes: string; readonly ends?: boolean }>> = {
  'http-1.0': { bytes: 'HTTP/1.0 200 OK\r\n\r\nhello', ends: true },
  'no-length': { bytes: `${OK}Connection: close\r\n\r\nhello`, ends: true },
  'reset-content': { bytes: 'HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello' },
  'reset-content-without': { bytes: 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n' },
  'orders-to-nginx': {
    bytes: `${OK}X-Accel-Buffering: no\r\nX-Accel-Redirect: /native/clean\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello`,
  },
  'no-content': { bytes: 'HTTP/1.1 204 No Content\r\n\r\n' },
  'not-modified': { bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n' },
  'latin-1': { bytes: `${OK}X-A: caf\xe9\r\nContent-Length: 5\r\n\r\nhello` },
  'utf-8': { bytes: `${OK}X-A: caf\xc3\xa9\r\nContent-Length: 5\r\n\r\nhello` },
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
  'latin-1-phrase': { bytes: 'HTTP/1.1 404 P\xe1gina\r\nContent-Length: 5\r\n\r\nhello' },
  'utf-8-phrase': { bytes: 'HTTP/1.1 404 \xe6\x9c\xaa\xe6\x89\xbe\r\nContent-Length: 5\r\n\r\nhello' },
  'tab-phrase': { bytes: 'HTTP/1.1 404 Not\tfound\r\nContent-Length: 5\r\n\r\nhello' },
  'control-phrase': { bytes: 'HTTP/1.1 404 Not\x01found\r\nContent-Length: 5\r\n\r\nhello' },
  'encoded-tab-phrase': { bytes: 'HTTP/1.1 404 \t\r\nContent-Encoding: x-odd\r\nContent-Length: 5\r\n\r\nhello' },
  'no-phrase': { bytes: 'HTTP/1.1 404\r\nContent-Length: 5\r\n\r\nhello' },
  'encoded-phrase': {
    bytes: 'HTTP/1.1 404 \xe6\x9c\xaa\r\nContent-Encoding: x-odd\r\nContent-Length: 5\r\n\r\nhello',
  },
  'empty-phrase': { bytes: 'HTTP/1.1 204 \xe6\x9c\xaa\r\n\r\n' },
  'control-in-a-value': { bytes: `${OK}X-A: a\x01b\x7f\r\nContent-Length: 5\r\n\r\nhello` },
  'null-in-a-value': { bytes: `${OK}X-A: a\0b\r\nContent-Length: 5\r\n\r\nhello`, ends: true },
  'malformed-chunk': { bytes: `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n`, ends: true },
};

/** A body that differs from others in each place, and in itself from one read to the next. */
const longBody = (name: string): Buffer => Buffer.alloc(2 << 20, `${name}, `);

/** What Node does not read, or will not write. */
const PASSED_BY_THE_RUNTIME: readonly [what: string, status: number, body: string][] = [
  ['control-in-a-value', 200, 'hello'],
];

const PASSED_BY_NODE: typeof PASSED_BY_THE_RUNTIME = [['status-999', 999, 'no']];

describe.each([
  ['natively', '/native', startWorkerdHost],
  ['through the egress process', '/egress', startWorkerdHost],
  ["through the runtime's sockets", '/sockets', startMiniflareHost],
  ['on Node', '/native', startNodeHost],
])('answers of upstreams %s', (name, way, start) => {
  const onNode = name === 'on Node';
  let upstream: Upstream;
  let node: ProxyNode;

  beforeAll(async () => {
    upstream = await startUpstream(({ line }, socket) => {
      const long = /\/(long-\w+) HTTP/.exec(line)?.[1];
      if (long !== undefined) {
        const body = longBody(long);
        const size = long.includes('chunk') ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`;
        socket.write(`${OK}${size}\r\n\r\n`);
        if (long.includes('chunk')) socket.write(`${body.length.toString(16)}\r\n`);
        socket.write(body);
        return long.includes('chunk') ? '\r\n0\r\n\r\n' : undefined;
      }
      const answer = answers[/\/([\w.-]+) HTTP/.exec(line)?.[1] ?? ''];
      if (answer?.ends !== true) return answer?.bytes ?? `${OK}Content-Length: 4\r\n\r\nnext`;
      socket.end(answer.bytes, 'latin1');
      return undefined;
    });
    const tables = {
      // The runtime may use a connection again that the odd answer before was the end of.
      services: [
        service(1, upstream.port, { retries: 0, read_timeout: 5_000 }),
        service(2, upstream.port, { retries: 2, read_timeout: 5_000 }),
      ],
      routes: [
        route(1, '/native', 1),
        route(2, '/egress', 1, { preserve_host: true }),
        route(3, '/sockets', 1, { preserve_host: true }),
        route(4, '/native/clean', 2),
        route(5, '/egress/clean', 2, { preserve_host: true }),
        route(6, '/sockets/clean', 2, { preserve_host: true }),
      ],
    };
    node = await startProxyNode(tables, { start });
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
    ['reset-content', 205, ''],
    ['reset-content-without', 205, ''],
    ['orders-to-nginx', 200, 'hello'],
    ['no-content', 204, ''],
    ['not-modified', 304, ''],
    ['large-header', 200, 'hello'],
    ['latin-1-phrase', 404, 'hello'],
    ['utf-8-phrase', 404, 'hello'],
    ['tab-phrase', 404, 'hello'],
    ['encoded-tab-phrase', 404, 'hello'],
    ['no-phrase', 404, 'hello'],
    ['encoded-phrase', 404, 'hello'],
    ['empty-phrase', 204, ''],
    ['hints', 200, 'hello'],
    ['continue', 200, 'hello'],
    ...(way === '/egress' || onNode ? [] : PASSED_BY_THE_RUNTIME),
    ...(onNode ? PASSED_BY_NODE : []),
  ])('passes on %s, and the next one after it', async (what, status, body) => {
    expect(responses((await ask(what)).text)).toMatchObject([
      { status, body },
      { status: 200, body: 'next' },
    ]);
  });

  it('passes on a phrase with a control character without it, or takes it for no answer', async () => {
    const [first, next] = responses((await ask('control-phrase')).text);
    expect([404, 502]).toContain(first?.status);
    expect(next).toMatchObject({ status: 200, body: 'next' });
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

  it.each<[what: string, line: string]>([
    // As text the runtime has no place for bytes that are none.
    ...(way === '/sockets' ? [] : [['latin-1-phrase', '404 P\xe1gina'] satisfies [string, string]]),
    ['utf-8-phrase', '404 \xe6\x9c\xaa\xe6\x89\xbe'],
    ['encoded-phrase', '404 \xe6\x9c\xaa'],
    ['empty-phrase', '204 \xe6\x9c\xaa'],
    ['no-phrase', '404 '],
  ])('passes on the bytes of a %s', async (what, line) => {
    expect((await ask(what)).text.split('\r\n', 1)[0]).toBe(`HTTP/1.1 ${line}`);
  });

  it('takes nothing in an answer for an order, nor adds to its type', async () => {
    const { text } = await ask('orders-to-nginx');
    for (const line of ['X-Accel-Buffering: no', 'X-Accel-Redirect: /native/clean', 'Content-Type: text/html'])
      expect(text).toContain(`\r\n${line}\r\n`);
  });

  it('passes on bytes above 0x7f in a header as they are', async () => {
    // What is no UTF-8 the runtime cannot write by itself.
    if (way !== '/sockets') expect((await ask('latin-1')).text).toContain('\r\nX-A: caf\xe9\r\n');
    expect((await ask('utf-8')).text).toContain('\r\nX-A: caf\xc3\xa9\r\n');
  });

  it.each([
    ['huge-header'],
    ['garbage'],
    ['unasked-switch'],
    ...(onNode ? [] : [['status-999']]),
    ['status-000'],
    ['unknown-coding'],
    ['length-that-is-none'],
    ['space-in-a-name'],
    ['null-in-a-value'],
    ...(way === '/egress' || onNode ? [['control-in-a-value']] : []),
  ])('answers 502 to %s, and the next request as ever', async (what) => {
    expect(responses((await ask(what)).text)).toMatchObject([{ status: 502 }, { status: 200, body: 'next' }]);
  });

  it('passes on long bodies byte for byte, many at a time, to clients that wait with taking them', async () => {
    const names = ['a', 'b', 'c', 'chunk_a', 'chunk_b', 'chunk_c'].map((name) => `long-${name}`);
    /** Takes nothing behind the head until it may. */
    const take = (name: string, may: Promise<unknown>): Promise<Buffer> =>
      new Promise((resolve, reject) => {
        get(`${node.url}${way}/${name}`, { agent: false }, (response) => {
          const parts: Buffer[] = [];
          response.on('error', reject).on('end', () => resolve(Buffer.concat(parts)));
          may.then(() => response.on('data', (part: Buffer) => parts.push(part)), reject);
        }).on('error', reject);
      });
    const quick = Promise.all(names.map((name) => take(name, Promise.resolve())));
    const slow = Promise.all(names.map((name) => take(name, quick)));
    for (const bodies of [await quick, await slow])
      expect(bodies.map((body, n) => body.equals(longBody(names[n] ?? '')))).toEqual(names.map(() => true));
  });

  it.each([['short-body'], ['malformed-chunk']])('ends the connection after a %s', async (what) => {
    const { text, closed } = await ask(what);
    expect(statuses(text)).toEqual([200]);
    expect(text).toContain('hello');
    expect(closed).toBe(true);
  });
});
