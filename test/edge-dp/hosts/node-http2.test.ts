import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type ClientHttp2Session, constants, type OutgoingHttpHeaders } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { generateListenerCertificate } from '../../../cp/pki/certificate.ts';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { keepsAlive } from '../../proc.ts';
import { within } from '../../within.ts';
import { id, type ProxyNode, route, service, startProxyNode } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import {
  answerOf,
  ask2,
  block,
  END_HEADERS,
  END_STREAM,
  FRAMES,
  frame,
  GET,
  openHttp2,
  RawHttp2,
  uint32,
} from './http2-client.ts';

/** Milliseconds. */
const PATIENCE = 60_000;
const never = Promise.reject(new Error('there is no such request'));
never.catch(() => undefined);

const NO_CHANGE = { headers: [], json: [], json_types: [] };

let upstream: Upstream;
let reader: Server;
let node: ProxyNode;
/** Trailers, and the length, of what `reader` was sent. */
const read: { trailers: readonly string[]; length: string | undefined }[] = [];
let secure: string;
const sessions: ClientHttp2Session[] = [];
const raws: RawHttp2[] = [];
/** What upstreams' sockets were asked for that answer by hand. */
const held = new Map<string, { write(bytes: string): void; ended: Promise<void> }>();

async function open(origin = secure): Promise<ClientHttp2Session> {
  const session = await openHttp2(origin);
  sessions.push(session);
  return session;
}

const get = (path: string, more: OutgoingHttpHeaders = {}): OutgoingHttpHeaders => ({ ':path': path, ...more });

beforeAll(async () => {
  upstream = await startUpstream(({ line, body, header }, socket) => {
    const path = line.split(' ')[1] ?? '';
    if (path.startsWith('/held')) {
      const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      held.set(path, { write: (bytes) => void socket.write(bytes, 'latin1'), ended });
      return undefined;
    }
    if (path === '/trailers')
      return (
        'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n' +
        'Keep-Alive: timeout=5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nETag: "1"\r\nETag: "2"\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n'
      );
    if (path === '/names')
      return (
        'HTTP/1.1 103 Early Hints\r\nConstructor: 1\r\n__proto__: 2\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' +
        '2\r\nok\r\n0\r\nConstructor: 3\r\n__proto__: 4\r\nConstructor: 5\r\n\r\n'
      );
    if (path === '/odd-trailers')
      return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: 1\r\nX-Odd: a\x01b\r\nX-B: 2\r\n\r\n';
    if (path.startsWith('/ws')) {
      socket.removeAllListeners('data');
      socket.on('data', (part) => socket.write(part));
      const key = path === '/ws' ? header('sec-websocket-key') : 'another';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      return (
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
      );
    }
    if (path === '/same') return 'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nContent-Length: 70\r\n\r\n';
    if (path === '/json')
      return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n${line.startsWith('HEAD') ? '' : '{}'}`;
    if (path === '/none') return 'HTTP/1.1 204 No Content\r\n\r\n';
    if (path === '/odd') return 'HTTP/1.1 799 Odd\r\nContent-Length: 2\r\n\r\nok';
    return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  });
  reader = createServer((request, response) => {
    request.resume().on('end', () => {
      read.push({ trailers: request.rawTrailers, length: request.headers['content-length'] });
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(reader, 'listening');
  const tls = await generateListenerCertificate();
  const listener = { host: '127.0.0.1', port: 0, http2: true };
  node = await startProxyNode(
    {
      services: [service(1, upstream.port), service(2, Number(Object(reader.address()).port))],
      routes: [
        route(1, '/', 1),
        route(2, '/nowhere', 1, { service: null }),
        route(3, '/read', 2),
        route(4, '/said', 1),
        route(5, '/json', 1, { strip_path: false }),
        route(6, '/empty', 1),
        route(7, '/told', 1),
      ],
      plugins: [
        ...[4, 6, 7].map((n) => ({
          id: id(100 + n),
          name: 'request-termination',
          route: { id: route(n, '/', 1).id },
          config: n === 6 ? { status_code: 204 } : { status_code: 200, content_type: 'text/plain', body: 'größe' },
        })),
        ...[
          { n: 4, change: { replace: { ...NO_CHANGE, headers: ['Content-Length:3'] } } },
          { n: 6, change: { add: { ...NO_CHANGE, headers: ['Content-Length:3'] } } },
          { n: 5, change: { add: { ...NO_CHANGE, json: ['added:größe'] } } },
        ].map(({ n, change }) => ({
          id: id(200 + n),
          name: 'response-transformer',
          route: { id: route(n, '/', 1).id },
          config: {
            ...{ add: NO_CHANGE, append: NO_CHANGE, remove: NO_CHANGE, rename: NO_CHANGE, replace: NO_CHANGE },
            ...change,
          },
        })),
      ],
    },
    { start: startNodeHost, proxyListen: [listener, { ...listener, tls }] },
  );
  secure = `https://127.0.0.1:${node.dataPlane.proxyAddresses[1]?.port}`;
});
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
  for (const raw of raws.splice(0)) raw.socket.destroy();
  upstream.seen.length = 0;
});
afterAll(async () => {
  await node?.stop();
  await upstream?.stop();
  reader?.closeAllConnections();
  reader?.close();
});

describe('HTTP/2 from clients', () => {
  it('comes by ALPN with TLS and by prior knowledge in clear, and HTTP/1.1 beside it on both', async () => {
    for (const origin of [secure, node.url]) {
      const answer = await ask2(await open(origin), get('/x', { ':method': 'POST' }), 'body');
      expect(answer).toMatchObject({ status: 200, text: expect.stringContaining('body'), code: 0 });
      expect(answer.headers.via).toMatch(/^1\.1 kong\//);
    }
    const shown = await new Promise((resolve, reject) => {
      const options = { port: Number(new URL(secure).port), host: '127.0.0.1', rejectUnauthorized: false };
      const socket = connectTls({ ...options, ALPNProtocols: ['http/1.1'] }, () => {
        resolve(socket.alpnProtocol);
        socket.destroy();
      });
      socket.once('error', reject);
    });
    expect(shown).toBe('http/1.1');
    expect((await node.raw('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n', { answers: 1 })).text).toContain(' 200 OK\r\n');
    // It begins like the preface of HTTP/2.
    expect((await node.raw('P / HTTP/1.1\r\n\r\n')).text).toContain(' 400 ');
    const versions = upstream.seen.map(({ header }) => header('via')?.split(' ')[0]);
    expect(versions).toEqual(['2', '2', '1.1']);
  });

  it('has fields as they came, in one line of cookies, with the authority as Host, and trailers of the answer', async () => {
    const session = await open();
    const fields = { cookie: ['a=1', 'b=2'], 'x-bytes': 'caf\u00c3\u00a9', te: 'trailers' };
    const answer = await ask2(session, get('/trailers', { ':authority': 'Name.test:81', ...fields }));
    expect(answer).toMatchObject({ status: 200, text: 'ok', trailers: { 'x-sum': '7' }, code: 0 });
    expect(answer.interim).toMatchObject([{ ':status': 103, link: '<a>' }]);
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(answer.headers).toMatchObject({ trailer: 'X-Sum' });
    expect(answer.headers).not.toHaveProperty('keep-alive');
    expect(answer.headers).not.toHaveProperty('connection');
    const [seen] = upstream.seen;
    expect(seen?.all('cookie')).toEqual(['a=1; b=2']);
    expect(seen?.header('x-bytes')).toBe('caf\u00c3\u00a9');
    expect(seen?.header('x-forwarded-host')).toBe('name.test');
    expect(seen?.header('te')).toBe('trailers');
  });

  it('passes fields on whose names every object has, ahead of an answer and behind it', async () => {
    const answer = await ask2(await open(), get('/names'));
    expect(answer).toMatchObject({ status: 200, text: 'ok', code: 0 });
    expect(Object.entries(answer.interim[0] ?? {})).toEqual(
      expect.arrayContaining([
        ['constructor', '1'],
        ['__proto__', '2'],
      ]),
    );
    expect(Object.entries(answer.trailers)).toEqual([
      ['constructor', '3, 5'],
      ['__proto__', '4'],
    ]);
  });

  it('ends an answer whose trailers cannot all be written with those that can', async () => {
    const answer = await ask2(await open(), get('/odd-trailers'));
    expect(answer).toMatchObject({ status: 200, text: 'ok', code: 0 });
    expect(Object.entries(answer.trailers)).toEqual([
      ['x-a', '1'],
      ['x-b', '2'],
    ]);
    const { text } = await node.raw('GET /odd-trailers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(text).toMatch(/\r\n\r\n2\r\nok\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n$/);
  });

  it.each<[string, OutgoingHttpHeaders, number]>([
    ['a Host beside the authority that says something else', { ':authority': 'one', host: 'other' }, 400],
    ['a target that is no path', { ':method': 'OPTIONS', ':path': '*' }, 400],
    ['more fields than anybody needs', { 'x-long': 'a'.repeat(34 << 10) }, 400],
    ['a target that is too long', { ':path': `/${'a'.repeat(9 << 10)}` }, 414],
    ['CONNECT', { ':method': 'CONNECT', ':path': undefined, ':scheme': undefined, ':authority': 'a:1' }, 400],
  ])('refuses %s', async (_, headers, status) => {
    const session = await open();
    expect(await ask2(session, get('/x', headers))).toMatchObject({ status });
    expect(upstream.seen).toEqual([]);
    expect(await ask2(session, get('/after', { host: '127.0.0.1', ':authority': '127.0.0.1' }))).toMatchObject({
      status: 200,
    });
  });

  it('refuses with a page of the type that its client reads, and gRPC clients with an outcome', async () => {
    const session = await open();
    const unlike = { ':authority': 'one', host: 'other' };
    const page = await ask2(session, get('/x', { ...unlike, accept: 'text/html' }));
    expect(page.headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', server: expect.any(String) });
    expect(page.text).toContain('<h1>Error</h1>');
    expect(page.headers['content-length']).toBe(String(page.text.length));
    const call = await ask2(session, get('/x', { ...unlike, 'content-type': 'application/grpc' }));
    expect(call.headers).toMatchObject({ 'content-type': 'application/grpc', 'grpc-status': '3' });
    expect(call.text).toBe('');
    const head = await ask2(session, get('/x', { ...unlike, ':method': 'HEAD', accept: 'text/html' }));
    expect(head).toMatchObject({ status: 400, text: '', code: 0 });
  });

  it('answers 404, 204 and HEAD without a body, and 502 for a status that HTTP/2 cannot say', async () => {
    const session = await open();
    expect(await ask2(session, get('/none'))).toMatchObject({ status: 204, text: '', code: 0 });
    expect(await ask2(session, get('/x', { ':method': 'HEAD' }))).toMatchObject({ status: 200, text: '', code: 0 });
    const odd = await ask2(session, get('/odd', { accept: 'text/html' }));
    expect(odd).toMatchObject({ status: 502, code: 0, text: expect.stringContaining('<h1>Error</h1>') });
    expect(odd.headers).toMatchObject({ server: expect.stringMatching(/^kong\//) });
  });

  it.each([
    ['a body of its own', '/told', '7', 'größe'],
    ['one of which a plugin says another', '/said', '7', 'größe'],
    ['one that a plugin has changed', '/json', '19', '{"added":"größe"}'],
    ['an answer of the upstream', '/x', '0', ''],
    ['one that has no body, and may speak of none', '/empty', undefined, ''],
    ['one whose body the client has', '/same', '70', ''],
  ])('says the length of %s', async (_, path, length, text) => {
    const answer = await ask2(await open(), get(path));
    expect([answer.headers['content-length'], answer.text, answer.code]).toEqual([length, text, 0]);
  });

  it('says of HEAD the length that GET would have, where it is known', async () => {
    const session = await open();
    const lengthOf = async (path: string): Promise<string | undefined> => {
      const { headers, text, code } = await ask2(session, get(path, { ':method': 'HEAD' }));
      expect([text, code]).toEqual(['', 0]);
      return headers['content-length'];
    };
    expect(await lengthOf('/told')).toBe('7');
    expect(await lengthOf('/nowhere')).toMatch(/^\d\d+$/);
    expect(await lengthOf('/empty')).toBe(undefined);
  });

  it('moves bodies as they come, both ways at once, no faster than they are taken', async () => {
    const session = await open();
    const stream = session.request({ ':path': '/held/stream', ':method': 'POST' });
    const answer = answerOf(stream);
    stream.write('first');
    const big = 'x'.repeat(3 << 20);
    stream.end(big);
    await expect.poll(() => held.has('/held/stream'), { message: 'the upload did not end' }).toBe(true);
    expect(upstream.seen[0]?.header('transfer-encoding')).toBe('chunked');
    held.get('/held/stream')?.write(`HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n${big}`);
    expect((await answer).text.length).toBe(big.length);
  });

  it('passes trailers of requests on, but for those that would be taken for something else', async () => {
    const stream = (await open()).request({ ':path': '/read', ':method': 'POST' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7', authorization: 'no', 'x-consumer-id': '1' }));
    const answer = answerOf(stream);
    stream.end('body');
    expect(await answer).toMatchObject({ status: 200 });
    const head = 'POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-Own: 1\r\n\r\n';
    await node.raw(`${head}4\r\nbody\r\n0\r\nX-Sum: 8\r\nHost: no\r\nX-Own: 2\r\n\r\n`, { answers: 1 });
    // An empty body is as long as its client says.
    await ask2(await open(), get('/read', { ':method': 'POST' }));
    await node.raw('POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', { answers: 1 });
    expect(read).toEqual([
      { trailers: ['x-sum', '7'], length: undefined },
      { trailers: ['X-Sum', '8'], length: undefined },
      { trailers: [], length: undefined },
      { trailers: [], length: '0' },
    ]);
  });

  it('ends the request upstream when the client ends its stream, and the stream when the upstream breaks off', async () => {
    const session = await open();
    const stream = session.request(get('/held/left'));
    await expect.poll(() => held.has('/held/left'), { message: 'it did not arrive' }).toBe(true);
    stream.close(constants.NGHTTP2_CANCEL);
    await within(held.get('/held/left')?.ended ?? never, 'the request upstream to end', PATIENCE);
    const cut = ask2(session, get('/held/cut'));
    await expect.poll(() => held.has('/held/cut'), { message: 'it did not arrive' }).toBe(true);
    held.get('/held/cut')?.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n');
    expect(await cut).toMatchObject({ status: 200, text: 'ok', code: constants.NGHTTP2_INTERNAL_ERROR });
    expect(await ask2(session, get('/after'))).toMatchObject({ status: 200 });
  });

  it('opens WebSockets (RFC 8441) to upstreams of HTTP/1.1, and answers what becomes none', async () => {
    const session = await open();
    if (session.remoteSettings.enableConnectProtocol !== true)
      await new Promise((resolve) => session.once('remoteSettings', resolve));
    expect(session.remoteSettings.enableConnectProtocol).toBe(true);
    const connect = (path: string, protocol = 'websocket') =>
      session.request(
        { ':method': 'CONNECT', ':protocol': protocol, ':path': path, 'sec-websocket-version': '13' },
        { endStream: false },
      );
    const socket = connect('/ws');
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    const response = new Promise<Record<string, unknown>>((resolve) => socket.once('response', resolve));
    const headers = await within(response, 'the handshake', PATIENCE);
    expect(headers).toMatchObject({ ':status': 200, 'sec-websocket-protocol': 'chat' });
    expect(headers).not.toHaveProperty('sec-websocket-accept');
    expect(upstream.seen[0]?.all('connection').join().toLowerCase()).toContain('upgrade');
    // The kernel finds out whether a silent client is still there.
    if (process.platform === 'linux')
      await expect.poll(() => keepsAlive(session.socket.remotePort ?? 0, session.socket.localPort ?? 0)).toBe(true);
    socket.write('frames');
    await expect.poll(() => Buffer.concat(parts).toString(), { message: 'nothing came back' }).toBe('frames');
    socket.end();
    await within(once(socket, 'close'), 'the stream to end', PATIENCE);
    const other = connect('/ws', 'connect-udp');
    expect(await answerOf(other)).toMatchObject({ status: 501 });
    const denied = connect('/none');
    expect(await answerOf(denied)).toMatchObject({ status: 204 });
    const impostor = connect('/ws-impostor');
    expect(await answerOf(impostor)).toMatchObject({ status: 502 });
  });

  it('says that the rest of a body is not wanted behind an answer that came early', async () => {
    const session = await open();
    const stream = session.request({ ':path': '/nowhere', ':method': 'POST' });
    // More than a window: it cannot end by itself.
    stream.write('x'.repeat(1 << 20));
    expect(await answerOf(stream)).toMatchObject({ status: 503, text: expect.stringContaining('No Service'), code: 0 });
    // Node ends its side of a HEAD before there is an answer.
    for (const more of [{}, { ':authority': 'a', host: 'b' }]) {
      const head = session.request({ ':path': '/nowhere', ':method': 'HEAD', ...more }, { endStream: false });
      head.write('x'.repeat(1 << 20));
      expect(await within(answerOf(head), 'the end of HEAD', PATIENCE)).toMatchObject({ text: '', code: 0 });
    }
    expect(await ask2(session, get('/after'))).toMatchObject({ status: 200 });
  });
});

describe('bounds of HTTP/2', () => {
  const client = (): RawHttp2 => {
    const raw = new RawHttp2(node.port);
    raws.push(raw);
    return raw;
  };
  const request = (stream: number, ...more: readonly (readonly [string, string])[]): Buffer =>
    frame(FRAMES.HEADERS, END_STREAM | END_HEADERS, stream, block(...GET, ...more));
  const metric = async (reason: string): Promise<string | undefined> => {
    const text = await (await fetch(`${node.statusUrl}/metrics`)).text();
    return new RegExp(`^holdfast_http2_connections_ended_total\\{reason="${reason}"\\} (\\d+)$`, 'm').exec(text)?.[1];
  };

  it.each<[string, readonly [string, string]]>([
    ['Connection', ['connection', 'close']],
    ['Keep-Alive', ['keep-alive', 'timeout=5']],
    ['Proxy-Connection', ['proxy-connection', 'close']],
    ['Transfer-Encoding', ['transfer-encoding', 'chunked']],
    ['Upgrade', ['upgrade', 'websocket']],
    ['a TE other than trailers', ['te', 'gzip']],
    ['a name in upper case', ['X-Upper', '1']],
    ['a second path', [':path', '/other']],
    ['two lengths', ['content-length', '1, 2']],
  ])('end the stream of a request with %s, and no other', async (_, field) => {
    const raw = client();
    raw.send(request(1, field), request(3));
    await expect.poll(() => raw.resetOf(1), { message: 'it was not reset' }).toBe(constants.NGHTTP2_PROTOCOL_ERROR);
    await expect.poll(() => upstream.seen.length, { message: 'the other was not served' }).toBe(1);
    expect(raw.goaways).toEqual([]);
  });

  /** In one write: one that comes after the node has ended the connection would take what it said with it. */
  const ATTEMPTS = Array.from({ length: 1_100 }, (_, n) => 1 + 2 * n);

  it.each<[string, string, (raw: RawHttp2) => void | Promise<void>]>([
    [
      'resets',
      'streams that are ended as soon as they begin',
      (raw) => {
        raw.send(
          ...ATTEMPTS.flatMap((stream) => [
            request(stream),
            frame(FRAMES.RST_STREAM, 0, stream, uint32(constants.NGHTTP2_CANCEL)),
          ]),
        );
      },
    ],
    [
      'protocol',
      'streams that the client has the node reset',
      (raw) => {
        raw.send(
          ...ATTEMPTS.flatMap((stream) => [
            frame(FRAMES.HEADERS, END_HEADERS, stream, block(...GET)),
            frame(FRAMES.WINDOW_UPDATE, 0, stream, uint32(0)),
          ]),
        );
      },
    ],
    [
      'pings',
      'PING frames',
      async (raw) => {
        // Of more that wait for their acknowledgement nghttp2 makes an end by itself.
        for (let round = 1; round <= 3; round++) {
          raw.send(...Array.from({ length: 500 }, () => frame(FRAMES.PING, 0, 0, Buffer.alloc(8))));
          const answered = (): boolean => raw.goaways.length > 0 || raw.count(FRAMES.PING) === round * 500;
          await expect.poll(answered, { message: 'no acknowledgements' }).toBe(true);
        }
      },
    ],
    [
      'settings',
      'SETTINGS frames',
      (raw) => {
        raw.send(...Array.from({ length: 200 }, () => frame(FRAMES.SETTINGS, 0, 0)));
      },
    ],
    [
      'idle_frames',
      'window updates',
      (raw) => {
        const update = frame(FRAMES.WINDOW_UPDATE, 0, 0, uint32(1));
        raw.send(Buffer.concat(Array.from({ length: 100_000 }, () => update)));
      },
    ],
    [
      'protocol',
      'PRIORITY frames',
      (raw) => {
        const priority = frame(FRAMES.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 3, 16]));
        raw.send(Buffer.concat(Array.from({ length: 100_000 }, () => priority)));
      },
    ],
    [
      'protocol',
      'header blocks in endless pieces',
      (raw) => {
        const pieces = Array.from({ length: 50 }, (_, n) => frame(FRAMES.CONTINUATION, 0, 1, block([`x-${n}`, 'a'])));
        raw.send(frame(FRAMES.HEADERS, 0, 1, block(...GET)), ...pieces);
      },
    ],
  ])('end a connection for %s: %s', async (reason, _, attack) => {
    const before = Number((await metric(reason)) ?? 0);
    const raw = client();
    await attack(raw);
    await within(raw.closed, 'the connection to end', PATIENCE);
    expect(raw.goaways.at(-1)).not.toBe(constants.NGHTTP2_NO_ERROR);
    expect(raw.goaways.length).toBeGreaterThan(0);
    await expect.poll(() => metric(reason), { message: 'it was not counted' }).toBe(`${before + 1}`);
    const told = (): boolean => node.log.some((line) => line.includes('ended an HTTP/2 connection'));
    await expect.poll(told, { message: 'the log has nothing of it' }).toBe(true);
    expect(await ask2(await open(node.url), get('/after'))).toMatchObject({ status: 200 });
  });

  it('hold: no more streams at a time than was said, and no header list beyond what is read', async () => {
    const raw = client();
    for (let n = 0; n < 130; n++)
      raw.send(frame(FRAMES.HEADERS, END_HEADERS, 1 + 2 * n, block(...GET, ['x-n', `${n}`])));
    await expect.poll(() => raw.resetOf(259), { message: 'it was taken' }).toBe(constants.NGHTTP2_REFUSED_STREAM);
    expect(raw.resetOf(1)).toBe(null);
    const many = client();
    const field = block(['x-many', 'a'.repeat(120)]);
    const rest = Buffer.concat(Array.from({ length: 120 }, () => field));
    const pieces = Array.from({ length: 8 }, (_, n) => frame(FRAMES.CONTINUATION, n === 7 ? END_HEADERS : 0, 1, rest));
    many.send(frame(FRAMES.HEADERS, END_STREAM, 1, block(...GET)), ...pieces);
    const refused = (): boolean => many.resetOf(1) !== null || many.frames.some(({ stream }) => stream === 1);
    await expect.poll(refused, { message: 'nothing came of it' }).toBe(true);
    expect(upstream.seen).toEqual([]);
  });

  it('end what a client that has closed its side had asked for', async () => {
    const raw = client();
    raw.send(
      frame(
        FRAMES.HEADERS,
        END_STREAM | END_HEADERS,
        1,
        block(...GET.slice(0, 2), [':path', '/held/closed'], ...GET.slice(3)),
      ),
    );
    await expect.poll(() => held.has('/held/closed'), { message: 'it did not arrive' }).toBe(true);
    raw.socket.end();
    await within(held.get('/held/closed')?.ended ?? never, 'the request upstream to end', PATIENCE);
    await within(raw.closed, 'the connection to end', PATIENCE);
  });
});

it('a reload has clients of HTTP/2 go over to the new processes, and finishes what they asked for', async () => {
  const session = await open();
  const goaways: number[] = [];
  session.on('goaway', (code) => goaways.push(code));
  const answer = ask2(session, get('/held/reloaded'));
  await expect.poll(() => held.has('/held/reloaded'), { message: 'it did not arrive' }).toBe(true);
  const reloaded = node.dataPlane.reload();
  await expect.poll(() => goaways.length, { message: 'no GOAWAY' }).toBeGreaterThan(0);
  expect(goaways).not.toContain(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  held.get('/held/reloaded')?.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  expect(await answer).toMatchObject({ status: 200, text: 'ok', code: 0 });
  await reloaded;
  expect(await ask2(await open(), get('/after'))).toMatchObject({ status: 200 });
});
