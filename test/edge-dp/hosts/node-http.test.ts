import { EventEmitter } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { once } from '../../once.ts';
import { type ProxyNode, responses, route, service, startProxyNode, statuses } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

const KEY_IN_BODY = { key_names: ['apikey'], key_in_header: false, key_in_query: false, key_in_body: true };
const MEBIBYTE = 'x'.repeat(1 << 20);
/** Milliseconds; so many that a client which has to wait for a processor is not taken for a slow one. */
const SEND_TIMEOUT = 5_000;

describe('what clients may take of the native host', () => {
  let upstream: Upstream;
  let node: ProxyNode;
  /** `aborted`: the gateway let go of a large answer. */
  const upstreamEnds = new EventEmitter();

  beforeAll(async () => {
    upstream = await startUpstream(({ line }, socket) => {
      if (!line.startsWith('GET /large')) return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
      socket.once('close', () => upstreamEnds.emit('aborted'));
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${64 << 20}\r\n\r\n`);
      for (let n = 0; n < 64; n++) socket.write(MEBIBYTE);
      return undefined;
    });
    node = await startProxyNode(
      {
        services: [service(1, upstream.port)],
        routes: [route(1, '/', 1, { strip_path: false }), route(2, '/keyed', 1), route(3, '/refused', 1)],
        plugins: [
          { id: route(9, '/', 1).id, name: 'key-auth', route: { id: route(2, '/', 1).id }, config: KEY_IN_BODY },
          {
            id: route(8, '/', 1).id,
            name: 'request-termination',
            route: { id: route(3, '/', 1).id },
            config: { status_code: 418 },
          },
        ],
      },
      {
        start: startNodeHost,
        http: {
          headTimeout: 3_000,
          sendTimeout: SEND_TIMEOUT,
          idleTimeout: 400,
          requests: 3,
          headBuffers: { count: 2, size: 1 << 10 },
        },
        proxy: { maxBodySize: 10 },
      },
    );
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
  });

  /** A connection on which the bytes were sent. */
  const open = (bytes: string): Socket => {
    const socket = connect(node.port, '127.0.0.1', () => socket.write(bytes));
    return socket.on('error', () => undefined);
  };
  const head = (...lines: readonly string[]) => `GET / HTTP/1.1\r\nHost: a\r\n${lines.join('')}\r\n`;

  it('is so much time for a head: 408, and nothing for who has said nothing', async () => {
    upstream.seen.length = 0;
    const [half, none] = await Promise.all([node.raw('GET / HTTP/1.1\r\nHost: a\r\nX-Slow'), node.raw('')]);
    expect(half).toMatchObject({
      text: expect.stringMatching(/^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*Request timeout/),
      closed: true,
    });
    expect(none).toEqual({ text: '', closed: true });
    expect(upstream.seen).toEqual([]);
  });

  it('is so long a pause between requests, and so many of them', async () => {
    const { text, closed } = await node.raw(head());
    expect([statuses(text), closed]).toEqual([[200], true]);
    expect(text).toContain('Connection: keep-alive');
    const many = await node.raw(head().repeat(5));
    expect(statuses(many.text)).toEqual([200, 200, 200]);
    expect(responses(many.text).map(({ head }) => /Connection: \S+/.exec(head)?.[0])).toEqual([
      'Connection: keep-alive',
      'Connection: keep-alive',
      'Connection: close',
    ]);
  });

  it('is so long a pause behind the rest of a body that was answered before its end', async () => {
    const socket = open('POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab');
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 418 [\s\S]*Connection: keep-alive/);
    socket.write('cd');
    await once(socket, 'close');
  });

  it.each([
    ['a request line longer than a buffer', `GET /${'a'.repeat(1 << 10)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
    ['a request line beyond everything', `GET /${'a'.repeat(200_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
    ['a header longer than a buffer', head(`X-A: ${'a'.repeat(1 << 10)}\r\n`), 400],
    [
      'headers longer than all buffers',
      head(...Array.from({ length: 40 }, (_, n) => `X-${n}: ${'a'.repeat(50)}\r\n`)),
      400,
    ],
    [
      'headers beyond everything',
      head(...Array.from({ length: 4_000 }, (_, n) => `X-${n}: ${'a'.repeat(50)}\r\n`)),
      400,
    ],
    ['more lines than anybody needs', head(...Array.from({ length: 1_001 }, () => 'a:\r\n')), 400],
  ])('is no head with %s', async (_, bytes, status) => {
    upstream.seen.length = 0;
    const { text, closed } = await node.raw(bytes);
    expect([statuses(text), closed]).toEqual([[status], true]);
    expect(text).toContain(status === 414 ? 'URI Too Long' : 'Request header or cookie too large');
    expect(upstream.seen).toEqual([]);
  });

  it('is a body of so many bytes, whether its length is told, and whoever reads it', async () => {
    const post = (path: string, rest: string) =>
      node.raw(`POST ${path} HTTP/1.1\r\nHost: a\r\n${rest}`, { answers: 1 });
    const chunked = (body: string) =>
      `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    expect(statuses((await post('/', 'Content-Length: 10\r\n\r\n0123456789')).text)).toEqual([200]);
    expect(statuses((await post('/', chunked('0123456789'))).text)).toEqual([200]);
    upstream.seen.length = 0;
    const json = 'Content-Type: application/json\r\n';
    for (const [path, rest] of [
      ['/', 'Content-Length: 11\r\n\r\n0123456789a'],
      ['/none', 'Content-Length: 11\r\n\r\n'],
      ['/', chunked('0123456789a')],
      ['/keyed', json + chunked('{"apikey":"0123456789a"}')],
      ['/keyed', `${json}Content-Length: 24\r\n\r\n{"apikey":"0123456789a"}`],
    ] as const) {
      const { text } = await post(path, rest);
      expect([path, rest, statuses(text)]).toEqual([path, rest, [413]]);
    }
    expect(upstream.seen).toEqual([]);
  });

  it.each([
    ['ends', '', false],
    ['is no chunk any more', 'Transfer-Encoding: chunked\r\n\r\n64\r\nhalf', true],
  ])('is one answer, where the body %s behind it', async (_, chunked, goesOn) => {
    const framing = chunked === '' ? 'Content-Length: 100\r\n\r\nhalf' : chunked;
    const path = chunked === '' ? '/' : '/refused';
    const socket = open(`POST ${path} HTTP/1.1\r\nHost: a\r\n${framing}`);
    let text = '';
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket
      .setEncoding('latin1')
      .once('data', () => (goesOn ? socket.write(`${'x'.repeat(96)}no chunk`) : socket.end()));
    socket.on('data', (part) => {
      text += part;
    });
    await closed;
    expect(statuses(text)).toEqual([chunked === '' ? 413 : 418]);
  });

  it('is so long a pause in taking an answer, however long all of it takes', async () => {
    const get = 'GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    const ended = once(upstreamEnds, 'aborted');
    const stuck = open(get).pause();
    const slow = open(get);
    const began = performance.now();
    let taken = 0;
    slow.on('data', (part) => {
      taken += part.byteLength;
      // Little at a time, for longer than it may take nothing.
      if (performance.now() - began > 1.5 * SEND_TIMEOUT) return;
      slow.pause();
      setTimeout(() => slow.resume(), 50);
    });
    await once(slow, 'close');
    expect(taken).toBeGreaterThan(64 << 20);

    await ended;
    // What the machine had taken is still there, and no more.
    let size = 0;
    stuck.on('data', (part) => {
      size += part.byteLength;
    });
    await once(stuck.resume(), 'close');
    expect(size).toBeLessThan(64 << 20);
  });
});
