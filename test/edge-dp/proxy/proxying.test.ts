import { createServer, type Server } from 'node:http';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { once } from '../../once.ts';
import { GATEWAY_HOSTS, type RunningGateway, startGateway } from './gateway.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const status = (answer: string) => Number(answer.slice(9, 12));
const body = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4);
const gzipped = gzipSync('compressed by the upstream');

describe.each(GATEWAY_HOSTS)('proxying on %s', (host) => {
  let upstream: Upstream;
  let streaming: Server;
  let sockets: WebSocketServer;
  let gateway: RunningGateway;

  beforeAll(async () => {
    upstream = await startUpstream((request) => {
      if (request.line.includes('/gzip'))
        return `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${gzipped.length}\r\n\r\n${gzipped.toString('latin1')}`;
      if (request.line.includes('/chunked'))
        return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n';
      if (request.line.startsWith('HEAD')) return 'HTTP/1.1 200 OK\r\nContent-Length: 55\r\n\r\n';
      if (request.line.includes('/empty')) return 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n';
      if (request.line.includes('/moved')) return 'HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n';
      return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    });
    streaming = createServer((request, response) => {
      if (request.url === '/events') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
        // The second event is sent only once somebody says that the first arrived.
        events.once = () => response.end('data: 2\n\n');
        return;
      }
      let size = 0;
      request.on('data', (chunk: Buffer) => {
        size += chunk.length;
      });
      request.on('end', () => response.end(`${size}`));
    });
    sockets = new WebSocketServer({ server: streaming, handleProtocols: () => 'chat' });
    sockets.on('connection', (socket, request) => {
      socket.send(JSON.stringify({ url: request.url, host: request.headers.host, via: request.headers.via }));
      socket.on('message', (data, binary) => socket.send(data, { binary }));
      socket.on('close', (code, reason) => closes.push([code, String(reason)]));
    });
    streaming.listen(0, '127.0.0.1');
    await once(streaming, 'listening');
    const address = streaming.address();
    if (address === null || typeof address === 'string') throw new Error('no address');
    const service = (n: number, port: number) => ({ id: id(n), protocol: 'http', host: '127.0.0.1', port });
    const route = (n: number, path: string, service: number, extra = {}) => ({
      id: id(100 + n),
      paths: [path],
      protocols: ['http', 'https'],
      service: { id: id(service) },
      ...extra,
    });
    gateway = await startGateway({
      host,
      tables: {
        services: [service(1, upstream.port), service(2, address.port)],
        routes: [
          route(1, '/a', 1, { strip_path: false }),
          route(2, '/host', 1, { preserve_host: true }),
          route(3, '/stream', 2),
          route(4, '/secure', 1, { protocols: ['https'] }),
          ...[301, 302, 307, 308].map((code) =>
            route(code, `/moved${code}`, 1, { protocols: ['https'], https_redirect_status_code: code }),
          ),
          route(6, '/grpc', 1, { protocols: ['grpcs'], strip_path: false }),
        ],
      },
    });
  });
  const events: { once?: () => void } = {};
  const closes: [number, string][] = [];
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
    sockets?.close();
    streaming?.closeAllConnections();
    streaming?.close();
  });

  const send = async (raw: string) => {
    upstream.seen.length = 0;
    const answer = await gateway.raw(raw);
    return { answer, request: upstream.seen[0] };
  };

  it.each([
    ["/a?q='x'&y=%41%2f&z=a+b", "/a?q='x'&y=%41%2f&z=a+b"],
    ['/a?', '/a?'],
    ['/a?a=1?b=2&&=&x', '/a?a=1?b=2&&=&x'],
    ['/a?q="<>|^`{}[]\\', '/a?q="<>|^`{}[]\\'],
    ['/a/%2F%2e%20b', '/a/%2F.%20b'],
    ["/a/it's", "/a/it's"],
    // Not as a bare `\\`: servers that take it for a slash would climb.
    ['/a/b%5Cc%5c..%5C%2e%2E/d', '/a/b%5Cc%5C..%5C../d'],
    ['/a/%7Cx%5Ey%60', '/a/%7Cx%5Ey%60'],
    ['/a//b///c', '/a/b/c'],
    // Bytes beyond ASCII that are UTF-8, as they stand in the request.
    ['/a/é?é', '/a/%C3%A9?\xc3\xa9'],
  ])('sends the target %s upstream as %s', async (target, expected) => {
    const { request, answer } = await send(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
    // Node's parser takes no target that RFC 9112 does not allow.
    if (host === 'node' && target.includes('é')) expect(status(answer)).toBe(400);
    else expect(request?.line).toBe(`GET ${expected} HTTP/1.1`);
  });

  it("sends the client's own Host where the route preserves it, with a body and back", async () => {
    const { request, answer } = await send(
      'POST /host/x HTTP/1.1\r\nHost: Shop.example:8443\r\nContent-Length: 5\r\nX-Dup: 1\r\nX-Dup: 2\r\n\r\nhello',
    );
    expect(request?.all('Host')).toEqual(['Shop.example:8443']);
    expect(request?.line).toBe('POST /x HTTP/1.1');
    expect(request?.body).toBe('hello');
    expect(request?.all('Content-Length')).toEqual(['5']);
    expect(status(answer)).toBe(200);
    expect(body(answer)).toBe('ok');
    expect(answer).toContain('\r\nVia: 1.1 kong/3.9.3\r\n');
  });

  it.each(['a', 'host'])('passes compressed and chunked bodies on as they are (/%s)', async (route) => {
    const { answer } = await send(`GET /${route}/gzip HTTP/1.1\r\nHost: other\r\nAccept-Encoding: gzip\r\n\r\n`);
    expect(answer).toContain('\r\nContent-Encoding: gzip\r\n');
    expect(answer).toContain(`\r\nContent-Length: ${gzipped.length}\r\n`);
    expect(Buffer.from(body(answer), 'latin1').equals(gzipped)).toBe(true);
    const withBody = 'Content-Length: 3\r\nAccept-Encoding: gzip\r\n\r\nabc';
    const { answer: again } = await send(`GET /${route}/gzip HTTP/1.1\r\nHost: other\r\n${withBody}`);
    expect(Buffer.from(body(again), 'latin1').equals(gzipped)).toBe(true);
    const { answer: chunked } = await send(`GET /${route}/chunked HTTP/1.1\r\nHost: other\r\n\r\n`);
    expect(chunked.replaceAll(/\r\n[0-9a-f]+\r\n/g, '')).toContain('hello world');
  });

  it.each([
    ['POST', 'Content-Length: 3', 'abc', 'abc'],
    ['PUT', 'Transfer-Encoding: chunked', '3\r\nabc\r\n0\r\n\r\n', '3\r\nabc\r\n0\r\n\r\n'],
    ['GET', 'Content-Length: 3', 'abc', 'abc'],
    ['DELETE', 'Content-Length: 3', 'abc', 'abc'],
    ['OPTIONS', 'X-A: 1', '', ''],
    ['PROPFIND', 'X-A: 1', '', ''],
    ['QUERY', 'Content-Length: 3', 'abc', 'abc'],
  ])('sends %s with %s and its body', async (method, header, content, expected) => {
    for (const route of ['a', 'host']) {
      const { request, answer } = await send(`${method} /${route} HTTP/1.1\r\nHost: a\r\n${header}\r\n\r\n${content}`);
      expect(status(answer), route).toBe(200);
      expect(request?.line, route).toMatch(new RegExp(`^${method} `));
      expect(request?.body, route).toBe(expected);
    }
  });

  it('answers TRACE itself, which would show what the request carries, with 405', async () => {
    const { request, answer } = await send('TRACE /a HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\n\r\n');
    expect(request).toBeUndefined();
    expect(status(answer)).toBe(405);
    expect(body(answer)).toMatch(/^Method not allowed\nrequest_id: [0-9a-f]{32}\n$/);
  });

  it('answers HEAD with the length of what GET would give, and keeps 204 and 302 as they are', async () => {
    const { answer } = await send('HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(answer).toContain('\r\nContent-Length: 55\r\n');
    expect(body(answer)).toBe('');
    expect((await send('GET /a/empty HTTP/1.1\r\nHost: a\r\n\r\n')).answer).toMatch(/^HTTP\/1\.1 204 /);
    expect((await send('GET /a/moved HTTP/1.1\r\nHost: a\r\n\r\n')).answer).toContain('\r\nLocation: /x\r\n');
  });

  it('does not send Expect upstream, whose 100 the runtime would take for the answer', async () => {
    const { request, answer } = await send(
      'POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc',
    );
    expect(status(answer.replace('HTTP/1.1 100 Continue\r\n\r\n', ''))).toBe(200);
    expect(request?.all('Expect')).toEqual([]);
  });

  it.each([
    ['both lengths', 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
    ['a double coding', 'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n'],
    ['an unknown coding', 'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
    ['no host', 'GET /a HTTP/1.1\r\n\r\n'],
    ['two hosts', 'GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    ['a method of its own', 'FOO /a HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('sends nothing upstream of a request with %s', async (_, raw) => {
    const { request, answer } = await send(raw);
    expect(request).toBeUndefined();
    expect(status(answer)).toBeGreaterThanOrEqual(400);
  });

  it.each(['/a/%zz', '/a/%4', '/a/b%', '/a/%00', '/a/%?%zz'])(
    'refuses the path %s, which servers unescape in different ways, as a page',
    async (target) => {
      const { request, answer } = await send(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect(request).toBeUndefined();
      expect(status(answer)).toBe(400);
      expect(body(answer)).toMatch(/^Bad request\nrequest_id: [0-9a-f]{32}\n$/);
    },
  );

  it('takes anything for a query', async () => {
    const { request } = await send('GET /a?%zz&%00=100% HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(request?.line).toBe('GET /a?%zz&%00=100% HTTP/1.1');
  });

  it('sends a request whose framing was smuggled into a header value as one request, or none', async () => {
    const { answer } = await send(
      'GET /a HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n folded: GET /evil HTTP/1.1\r\nConnection: close\r\n\r\n',
    );
    // Folded lines are obsolete: one that does not unfold them refuses them (RFC 9112 section 5.2).
    expect(status(answer)).toBe(host === 'node' ? 400 : 200);
    expect(upstream.seen).toHaveLength(host === 'node' ? 0 : 1);
    expect(upstream.seen[0]?.raw ?? '').not.toMatch(/\r\n /);
  });

  it('answers by protocol: 426, redirects, and HTTP/2 asked for of gRPC clients', async () => {
    const secure = (await send('GET /secure?x=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n')).answer;
    expect(status(secure)).toBe(426);
    expect(secure).toContain('"message":"Please use HTTPS protocol"');
    // The runtime writes what is about the connection itself.
    expect(secure.includes('\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n')).toBe(host === 'node');
    for (const [code, type, title] of [
      [301, 'text/html', '301 Moved Permanently'],
      [302, 'text/html', '302 Found'],
      [307, 'text/html; charset=UTF-8', '307 Temporary Redirect'],
      [308, 'text/html; charset=UTF-8', '308 Permanent Redirect'],
    ] as const) {
      const moved = (await send(`GET /moved${code}/y?x=1 HTTP/1.1\r\nHost: shop.example:8000\r\n\r\n`)).answer;
      expect(status(moved)).toBe(code);
      expect(moved).toContain(`\r\nLocation: https://shop.example/moved${code}/y?x=1\r\n`);
      expect(moved).toContain(`\r\nContent-Type: ${type}\r\n`);
      expect(body(moved)).toContain(`<h1>${title}</h1>`);
    }
    const numbered = (await send('GET /moved301/y HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n')).answer;
    expect(numbered).toContain('\r\nLocation: https://[::1]/moved301/y\r\n');
    expect(status((await send('GET /grpc HTTP/1.1\r\nHost: a\r\n\r\n')).answer)).toBe(415);
    const grpc = (await send('POST /grpc HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\r\n')).answer;
    expect(status(grpc)).toBe(426);
    expect(grpc).toContain('"message":"Please use HTTP2 protocol"');
    // Over HTTP/1.1 its type is like any other.
    const none = (await send('POST /none HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\r\n')).answer;
    expect(status(none)).toBe(404);
    expect(none).toContain('"message":"no Route matched with those values"');
    expect(none).not.toMatch(/\r\ngrpc-status:/i);
  });

  it('streams events as they come', async () => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.write('GET /stream/events HTTP/1.1\r\nHost: a\r\n\r\n');
    let text = '';
    socket.on('data', (data) => {
      text += String(data);
      if (text.includes('data: 1')) events.once?.();
      if (text.includes('data: 2')) socket.end();
    });
    await once(socket, 'close');
    expect(text).toMatch(/data: 1[\s\S]*data: 2/);
  });

  it('streams large bodies up', async () => {
    const size = 20 << 20;
    const chunk = new Uint8Array(1 << 20);
    for (const headers of [{}, { 'content-length': String(size) }]) {
      let sent = 0;
      const stream = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (sent === size) controller.close();
          else controller.enqueue(chunk);
          sent += chunk.length;
        },
      });
      const init = { method: 'POST', body: stream, duplex: 'half', headers } as RequestInit;
      const response = await fetch(`${gateway.url}/stream/upload`, init);
      expect(await response.text()).toBe(String(size));
    }
  });

  it('never lets an upload that broke off look complete upstream', async () => {
    const received: string[] = [];
    const started = new Set<Socket>();
    const recorder = createTcpServer((socket) => {
      let text = '';
      socket.on('data', (data) => {
        text += data.toString('latin1');
        if (text.includes('xxxx')) started.add(socket);
      });
      socket.on('error', () => undefined);
      socket.on('close', () => received.push(text));
    });
    recorder.listen(0, '127.0.0.1');
    await once(recorder, 'listening');
    const address = recorder.address();
    if (address === null || typeof address === 'string') throw new Error('no address');
    const refusal = await gateway.configure({
      services: [{ id: id(3), protocol: 'http', host: '127.0.0.1', port: address.port }],
      routes: [{ id: id(150), paths: ['/record'], protocols: ['http'], service: { id: id(3) } }],
    });
    expect(refusal).toBeNull();
    for (const [n, framing] of ['Transfer-Encoding: chunked', 'Content-Length: 200000'].entries()) {
      const socket = connect(gateway.port, '127.0.0.1');
      const chunk = framing.startsWith('T') ? `10000\r\n${'x'.repeat(0x10000)}\r\n` : 'x'.repeat(0x10000);
      socket.write(`POST /record HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${chunk}`);
      await expect.poll(() => started.size).toBe(n + 1);
      socket.destroy();
    }
    await expect.poll(() => received.length).toBe(2);
    for (const text of received) {
      expect(text).toContain('xxxx');
      expect(text).not.toMatch(/\r\n0\r\n\r\n$/);
    }
    recorder.close();
  });

  it('passes WebSockets through: text, binary, large messages, subprotocol, close codes', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/stream/chat?x=1`, ['chat']);
    const messages: (readonly [Buffer, boolean])[] = [];
    socket.on('message', (data: Buffer, binary) => messages.push([data, binary]));
    await once(socket, 'open');
    expect(socket.protocol).toBe('chat');
    const large = Buffer.alloc(4 << 20, 7);
    socket.send('text');
    socket.send(large);
    await expect.poll(() => messages.length).toBe(3);
    const hello: unknown = JSON.parse(String(messages[0]?.[0]));
    expect(hello).toMatchObject({ url: '/chat?x=1', via: '1.1 kong/3.9.3' });
    expect(messages[1]).toEqual([Buffer.from('text'), false]);
    expect(messages[2]?.[1]).toBe(true);
    expect(messages[2]?.[0].equals(large)).toBe(true);
    socket.close(4321, 'bye');
    await once(socket, 'close');
    await expect.poll(() => closes).toEqual([[4321, 'bye']]);
  });
});

describe.each([
  ['traditional_compatible', '/svc/x'],
  ['expressions', '/svc/x'],
  ['traditional', '/svcx'],
] as const)('path_handling v1 in the %s flavour', (routerFlavor, expected) => {
  it(`sends /apix to ${expected}`, async () => {
    const upstream = await startUpstream();
    const gateway = await startGateway({
      proxy: { routerFlavor },
      tables: {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port, path: '/svc' }],
        routes: [
          { id: id(101), paths: ['/api'], protocols: ['http'], path_handling: 'v1', service: { id: id(1) } },
          { id: id(102), paths: ['/other'], protocols: ['http'], path_handling: 'v0', service: { id: id(1) } },
        ],
      },
    });
    try {
      await gateway.raw('GET /apix HTTP/1.1\r\nHost: a\r\n\r\n');
      await gateway.raw('GET /otherx HTTP/1.1\r\nHost: a\r\n\r\n');
      expect(upstream.seen.map(({ line }) => line)).toEqual([`GET ${expected} HTTP/1.1`, 'GET /svc/x HTTP/1.1']);
    } finally {
      await gateway.stop();
      await upstream.stop();
    }
  });
});
