import { request as httpRequest } from 'node:http';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { once } from '../../once.ts';
import { type ProxyNode, responses, route, service, startProxyNode, statuses } from '../proxy/node.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

/** A request: its line, and those of its head. */
const message = (line: string, ...lines: readonly string[]) =>
  `${[line, ...lines].map((one) => `${one}\r\n`).join('')}\r\n`;
const get = (...lines: readonly string[]) => message('GET /x HTTP/1.1', 'Host: a', ...lines);
const post = (...lines: readonly string[]) => message('POST /x HTTP/1.1', 'Host: a', ...lines);
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
/** More than a connection takes at once. */
const LARGE = 'x'.repeat(8 << 20);
const NO_CODE = { certificate: [], rewrite: [], access: [], header_filter: [], body_filter: [], log: [] };
const NEXT = message('GET /next HTTP/1.1', 'Host: a');

describe('requests byte for byte on the native host', () => {
  let upstream: Upstream;
  /** Answers what it has not read. */
  let hasty: Server;
  let node: ProxyNode;

  beforeAll(async () => {
    upstream = await startUpstream(({ line }) => {
      if (line.includes('/reset')) return 'HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok';
      if (line.includes('/early'))
        return (
          'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 9\r\n\r\n' +
          'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Fine By Me\r\nContent-Length: 2\r\n\r\nok'
        );
      if (line.includes('/odd')) return 'HTTP/1.1 799 Odd\r\nContent-Length: 2\r\n\r\nok';
      if (line.includes('/trailers'))
        return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n';
      if (line.includes('/announced'))
        return `HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\n${line.startsWith('HEAD') ? '' : 'ok'}`;
      if (line.includes('/beyond')) return `${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged`;
      if (line.includes('/padded'))
        return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5  \r\nhello\r\n1 ;a=b\r\n!\r\n0\r\n\r\n';
      if (line.includes('/stalls')) return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';
      if (line.includes('/large')) return `HTTP/1.1 200 OK\r\nContent-Length: ${LARGE.length}\r\n\r\n${LARGE}`;
      if (line.includes('/junk')) return 'HTTP/1.1 xx\r\n\r\n';
      return OK;
    });
    hasty = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('readable', () => {
        socket.read();
        socket.write('HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmuch');
      });
    }).listen(0, '127.0.0.1');
    await once(hasty, 'listening');
    node = await startProxyNode(
      {
        services: [
          service(4, Number(Object(hasty.address()).port)),
          service(1, upstream.port),
          service(2, 1, { retries: 0 }),
          service(3, upstream.port, { read_timeout: 300 }),
        ],
        routes: [
          route(1, '/', 1, { strip_path: false }),
          route(2, '/refused', 2),
          route(5, '/stalls', 3, { strip_path: false }),
          route(3, '/secure', 1, { protocols: ['https'] }),
          route(4, '/moved', 1, { protocols: ['https'], https_redirect_status_code: 301 }),
          route(6, '/framed', 1, { strip_path: false }),
          route(7, '/hasty', 4),
          route(8, '/claims', 1, { strip_path: false }),
          route(9, '/said', 1, { strip_path: false }),
          route(10, '/exits', 1),
          route(11, '/exits-saying', 1),
        ],
        plugins: [
          {
            id: '00000000-0000-4000-8000-000000000902',
            name: 'post-function',
            enabled: true,
            route: { id: route(8, '/', 1).id },
            config: { ...NO_CODE, header_filter: ["kong.response.set_header('Content-Length', '5')"] },
          },
          {
            id: '00000000-0000-4000-8000-000000000903',
            name: 'post-function',
            enabled: true,
            route: { id: route(9, '/', 1).id },
            config: { ...NO_CODE, access: ["kong.response.set_header('Content-Length', '5')"] },
          },
          {
            id: '00000000-0000-4000-8000-000000000904',
            name: 'post-function',
            enabled: true,
            route: { id: route(10, '/', 1).id },
            config: {
              ...NO_CODE,
              access: ["kong.response.exit(200, 'of a script')"],
              header_filter: ["ngx.header['Content-Length'] = '5'", "kong.response.add_header('content-length', '5')"],
            },
          },
          {
            id: '00000000-0000-4000-8000-000000000905',
            name: 'post-function',
            enabled: true,
            route: { id: route(11, '/', 1).id },
            config: { ...NO_CODE, access: ["kong.response.exit(200, 'of a script', { ['Content-Length'] = '5' })"] },
          },
          {
            id: '00000000-0000-4000-8000-000000000901',
            name: 'response-transformer',
            enabled: true,
            route: { id: route(6, '/', 1).id },
            config: {
              add: { headers: ['Transfer-Encoding: chunked'], json: [], json_types: [] },
              append: { headers: [], json: [], json_types: [] },
              remove: { headers: [], json: [] },
              rename: { headers: [], json: [] },
              replace: { headers: [], json: [], json_types: [] },
            },
          },
        ],
      },
      { start: startNodeHost },
    );
  });
  afterAll(async () => {
    await node?.stop();
    await upstream?.stop();
    hasty?.close();
  });

  /** What comes back of bytes and a request behind them; of what the upstream got, all but that. */
  async function send(bytes: string, answers?: number) {
    upstream.seen.length = 0;
    const { text, closed } = await node.raw(bytes + NEXT, answers === undefined ? {} : { answers });
    return { text, closed, seen: upstream.seen.filter(({ line }) => !line.includes('/next')) };
  }

  it.each([
    ['an escape of NUL', message('GET /x%00 HTTP/1.1', 'Host: a')],
    ['half an escape', message('GET /x%4 HTTP/1.1', 'Host: a')],
    ['no escape at all', message('GET /x%zz HTTP/1.1', 'Host: a')],
    ['a tab in the request line', message('GET\t/x HTTP/1.1', 'Host: a')],
    ['a blank in the target', message('GET /x y HTTP/1.1', 'Host: a')],
    ['a method in lower case', message('get /x HTTP/1.1', 'Host: a')],
    ['a line without a colon', get('X-A')],
    ['a blank before the colon', get('X-A : 1')],
    ['a folded line', get('X-A: 1', ' 2')],
    ['a bare CR', get('X-A: 1\rX-B: 2')],
    ['bare line feeds', 'GET /x HTTP/1.1\nHost: a\n\n'],
    ['no version', 'GET /x\r\n\r\n', 505],
    ['two Authorization lines', get('Authorization: Basic YTpi', 'authorization: Basic Yzpk')],
    ['two Hosts', get('Host: b')],
    ['an empty Host', message('GET /x HTTP/1.1', 'Host:')],
    ['no Host', message('GET /x HTTP/1.1')],
    ['a Host that is none', message('GET /x HTTP/1.1', 'Host: a/b')],
    ['a target without a slash', message('GET x HTTP/1.1', 'Host: a')],
    ['half an absolute target', message('GET http:/a/x HTTP/1.1', 'Host: a')],
    ['the target *', message('OPTIONS * HTTP/1.1', 'Host: a')],
    ['CONNECT', message('CONNECT a:80 HTTP/1.1', 'Host: a')],
    ['a WebSocket with a body', `${get('Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 2')}hi`],
    [
      'a WebSocket with a body in chunks',
      `${get('Connection: Upgrade', 'Upgrade: websocket', 'Transfer-Encoding: chunked')}2\r\nhi\r\n0\r\n\r\n`,
    ],
    ['a length twice', `${post('Content-Length: 1', 'Content-Length: 1')}a`],
    ['a negative length', post('Content-Length: -1')],
    ['a transfer coding that is none', post('Transfer-Encoding: identity')],
    ['both a length and chunks', `${post('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
    ['HTTP/2.0', message('GET /x HTTP/2.0', 'Host: a'), 505],
  ])('are refused for %s, with a page that has the request’s id', async (_, bytes, status = 400) => {
    const { text, closed, seen } = await send(bytes);
    expect([statuses(text), closed, seen]).toEqual([[status], true, []]);
    expect(text).toMatch(/\r\nServer: kong\/[\s\S]*\r\n\r\n[^\r\n]+\nrequest_id: [0-9a-f]{32}/);
    expect(text).toContain('\r\nConnection: close\r\n');
  });

  const html = 'Accept: text/html';
  it.each([
    ['both a length and chunks', `${post(html, 'Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
    ['a blank before the colon', get(html, 'X-A : 1')],
    ['a length twice', `${post(html, 'Content-Length: 1', 'Content-Length: 1')}a`],
    ['two Authorization lines', get('Authorization: Basic YTpi', 'Authorization: Basic Yzpk', html)],
    ['no Host', message('GET /x HTTP/1.1', html)],
    ['a Host that is none', message('GET /x HTTP/1.1', 'Host: a/b', html)],
    ['CONNECT', message('CONNECT a:80 HTTP/1.1', 'Host: a', html)],
    ['a head that is too long', get(html, `X-A: ${'a'.repeat(9_000)}`)],
  ])('are refused for %s with a page of the type that their client reads', async (_, bytes) => {
    const { text } = await send(bytes);
    expect(statuses(text)).toEqual([400]);
    expect(text).toMatch(/\r\nContent-Type: text\/html; charset=utf-8\r\n[\s\S]*<h1>Error<\/h1>/);
  });

  it('are refused with a page of the type that the settings name, and without what those leave out', async () => {
    const terse = await startProxyNode(
      { services: [service(1, upstream.port)], routes: [route(1, '/', 1)] },
      { start: startNodeHost, proxy: { headers: [], errorDefaultType: 'application/json' } },
    );
    const answers = [
      get('X-A : 1'),
      get('Host: b'),
      post('Content-Type: text/html', 'X-A : 1'),
      message('GET /x HTTP/2.0'),
    ];
    const texts = await Promise.all(answers.map(async (bytes) => (await terse.raw(bytes)).text));
    await terse.stop();
    expect(texts.map((text) => /\r\nContent-Type: ([^;]*);/.exec(text)?.[1])).toEqual([
      'application/json',
      'application/json',
      'text/html',
      'application/json',
    ]);
    for (const text of texts) expect(text).not.toMatch(/\r\n(?:Server|X-Kong-[^:]*):/i);
  });

  it.each<[string, string, string, readonly string[]]>([
    ['lines of one name', get('User-Agent: 1', 'User-Agent: 2'), 'GET /x', ['User-Agent: 1', 'User-Agent: 2']],
    ['blanks around a value, which are none of it', get('X-A:  1 \t '), 'GET /x', ['X-A: 1']],
    [
      'names as they are spelt, of all that may be in one',
      get('x-CaSe: 1', "!#$%&'*+^|~: 2"),
      'GET /x',
      ['x-CaSe: 1', "!#$%&'*+^|~: 2"],
    ],
    ['fields without a value', get('Origin:'), 'GET /x', ['Origin: ']],
    ['an empty line before it', `\r\n${get()}`, 'GET /x', []],
    [
      'an absolute target, whose host counts',
      message('GET http://b/x?y HTTP/1.1', 'Host: a'),
      'GET /x?y',
      ['X-Forwarded-Host: b'],
    ],
    [
      'an absolute target without a path',
      message('GET http://b HTTP/1.1', 'Host: a'),
      'GET /',
      ['X-Forwarded-Host: b'],
    ],
    [
      'dot segments, which are told as they came',
      message('GET /a/../x/./y HTTP/1.1', 'Host: a'),
      'GET /x/y',
      ['X-Forwarded-Path: /a/../x/./y'],
    ],
    ['a query as it is', message('GET /x?"<>|{}^`\\%zz HTTP/1.1', 'Host: a'), 'GET /x?"<>|{}^`\\%zz', []],
    [
      'a port in the Host, which is not the listener’s',
      message('GET /x HTTP/1.1', 'Host: a:99'),
      'GET /x',
      ['X-Forwarded-Host: a'],
    ],
    ['a method few know', message('PROPFIND /x HTTP/1.1', 'Host: a'), 'PROPFIND /x', []],
    [
      'trailers, and what is said of them before',
      `${post('Transfer-Encoding: chunked', 'Trailer: X-Sum, Authorization')}2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n`,
      'POST /x',
      ['Trailer: X-Sum', '0\r\nX-Sum: 1'],
    ],
    [
      'a body of HEAD in chunks',
      `${message('HEAD /x HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked')}2\r\nhi\r\n0\r\n\r\n`,
      'HEAD /x',
      ['Transfer-Encoding: chunked'],
    ],
    ['TE, where it asks for trailers', get('TE: trailers'), 'GET /x', ['TE: trailers']],
    [
      'a body in chunks',
      `${post('Transfer-Encoding: chunked')}2\r\nhi\r\n0\r\n\r\n`,
      'POST /x',
      ['Transfer-Encoding: chunked'],
    ],
  ])('pass on %s', async (_, bytes, line, lines) => {
    const { text, seen } = await send(bytes, 2);
    expect(statuses(text)).toEqual([200, 200]);
    expect(seen.map((one) => one.line)).toEqual([`${line} HTTP/1.1`]);
    for (const one of lines) expect(seen[0]?.raw).toContain(`\r\n${one}\r\n`);
  });

  it('ask for a WebSocket in the words of Kong, which keep the connection where it is refused', async () => {
    upstream.seen.length = 0;
    const { text } = await node.raw(get('Connection: upgrade', 'Upgrade: WebSocket'), { answers: 1 });
    expect(statuses(text)).toEqual([200]);
    expect(upstream.seen[0]?.raw).toContain('\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n');
  });

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])(
    'say nothing of a body that %s does not have',
    async (method) => {
      const { seen } = await send(message(`${method} /x HTTP/1.1`, 'Host: a'), 2);
      expect(seen.map(({ line }) => line)).toEqual([`${method} /x HTTP/1.1`]);
      expect(seen[0]?.raw).not.toMatch(/\r\n(content-length|transfer-encoding):/i);
    },
  );

  it('in HTTP/1.0 end their connection, unless it is to stay, and are told as such', async () => {
    const once = await send(message('GET /x HTTP/1.0', 'Host: a'));
    expect([statuses(once.text), once.closed, once.seen[0]?.header('Via')]).toEqual([[200], true, '1 kong/3.9.3']);
    const kept = await send(message('GET /x HTTP/1.0', 'Host: a', 'Connection: keep-alive'), 2);
    expect(statuses(kept.text)).toEqual([200, 200]);
    expect(statuses((await send(message('GET /x HTTP/1.0'))).text)).toEqual([200]);
  });

  it('that wait for 100 get it once their body is wanted, and not before', async () => {
    const { text, seen } = await send(`${post('Content-Length: 2', 'Expect: 100-continue')}hi`, 3);
    expect(statuses(text)).toEqual([100, 200, 200]);
    expect(seen[0]?.body).toBe('hi');
    expect(seen[0]?.header('Expect')).toBeUndefined();
    const secure = message('POST /secure HTTP/1.1', 'Host: a', 'Content-Length: 2', 'Expect: 100-continue');
    expect(statuses((await node.raw(secure)).text)).toEqual([426]);
  });

  it('are answered as Kong answers them, by its own pages and with the upstream’s own words', async () => {
    const answer = async (path: string, method = 'GET') =>
      (await send(message(`${method} ${path} HTTP/1.1`, 'Host: a'), 2)).text.split(
        /(?=HTTP\/1\.1 200 OK\r\n[\s\S]*ok$)/,
      )[0] ?? '';
    expect(await answer('/secure')).toMatch(/^HTTP\/1\.1 426 [\s\S]*\r\nUpgrade: TLS\/1\.2, HTTP\/1\.1\r\n/);
    expect(await answer('/moved')).toMatch(/^HTTP\/1\.1 301 [\s\S]*\r\nLocation: https:\/\/a\/moved\r\n[\s\S]*<html>/);
    expect(await answer('/refused')).toMatch(
      /^HTTP\/1\.1 502 [\s\S]*X-Kong-Upstream-Latency: [\s\S]*X-Kong-Proxy-Latency: /,
    );
    expect(await answer('/junk')).toMatch(/^HTTP\/1\.1 502 /);
    expect(await answer('/x', 'TRACE')).toMatch(/^HTTP\/1\.1 405 /);
    expect(await answer('/odd')).toMatch(/^HTTP\/1\.1 799 Odd\r\n/);
    expect(await answer('/early')).toMatch(/^HTTP\/1\.1 200 Fine By Me\r\n/);
    expect(await answer('/trailers')).toMatch(/\r\n0\r\nX-Sum: 1\r\n\r\n/);
  });

  it('in HTTP/1.0 are answered without chunks, up to the end of the connection', async () => {
    const { text, closed } = await node.raw(message('GET /trailers HTTP/1.0', 'Host: a', 'Connection: keep-alive'));
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/);
    expect(text).not.toMatch(/transfer-encoding/i);
    expect(closed).toBe(true);
    expect((await node.raw(message('GET /early HTTP/1.0', 'Host: a'))).text).toMatch(/^HTTP\/1\.1 200 Fine By Me\r\n/);
  });

  it('get of an upstream all of its chunks however their sizes are padded, and nothing beyond its end', async () => {
    const padded = await send(message('GET /padded HTTP/1.1', 'Host: a'), 2);
    expect(responses(padded.text).map(({ body }) => body)).toEqual(['hello!', 'ok']);
    const beyond = await send(message('GET /beyond HTTP/1.1', 'Host: a'), 2);
    expect(responses(beyond.text).map(({ body }) => body)).toEqual(['ok', 'ok']);
    // On another connection than that with the forged answer.
    expect(upstream.seen.at(-1)?.reused).toBe(0);
  });

  it('see the end of an upstream that stops in the middle for longer than read_timeout', async () => {
    const { text, closed } = await send(message('GET /stalls HTTP/1.1', 'Host: a'));
    expect(text).toContain('hello');
    expect(text).not.toMatch(/\r\n0\r\n\r\n/);
    expect(closed).toBe(true);
  });

  it.each([
    ['CONNECT', message('CONNECT b:80 HTTP/1.1', 'Host: b:80')],
    ['a WebSocket', message('GET /x HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: websocket')],
  ])('are answered, all of them, before %s that came behind them is refused', async (_, behind) => {
    const { text, closed } = await node.raw(
      message('GET /large HTTP/1.1', 'Host: a') + message('GET /y HTTP/1.1', 'Host: a') + behind,
    );
    expect([statuses(text), closed]).toEqual([[200, 200, 400], true]);
    const [large, other] = responses(text).map(({ body }) => body);
    expect([large === LARGE, other]).toEqual([true, 'ok']);
  });

  it.each([
    ['a length', { 'content-length': 2_000_000 }],
    ['chunks', {}],
  ])(
    'are answered before the upstream has read a body of %s, also for clients that look when they have sent it',
    async (_, headers) => {
      for (let n = 0; n < 3; n++) {
        const request = httpRequest({ host: '127.0.0.1', port: node.port, path: '/hasty', method: 'POST', headers });
        const answered = once(request, 'response');
        for (let sent = 0; sent < 2_000_000; sent += 50_000)
          if (!request.write(Buffer.alloc(50_000))) await once(request, 'drain');
        request.end();
        const [response] = await answered;
        expect([response.statusCode, response.statusMessage]).toEqual([413, 'Too Much']);
        let body = '';
        for await (const part of response) body += String(part);
        expect(body).toBe('much');
      }
    },
  );

  it('tell the length of what comes, whatever a script says of it', async () => {
    for (const [path, length] of [
      ['claims', '2'],
      ['said', '2'],
      ['said/trailers', undefined],
      ['exits', '11'],
      ['exits-saying', '11'],
    ] as const) {
      for (const method of ['GET', 'HEAD']) {
        const { text } = await node.raw(message(`${method} /${path} HTTP/1.1`, 'Host: a', 'Connection: close'));
        const lengths = Array.from(text.matchAll(/^content-length: (.*?)\r$/gim), ([, told]) => told);
        expect(lengths, `${method} ${path}`).toEqual(length === undefined ? [] : [length]);
      }
    }
  });

  it('answered with 205 are followed by the next answer, not by a body', async () => {
    const { text } = await send(message('GET /reset HTTP/1.1', 'Host: a'), 2);
    expect(responses(text).map(({ status, body }) => [status, body])).toEqual([
      [205, ''],
      [200, 'ok'],
    ]);
  });

  it('are answered without trailers announced behind a body that has no such place, nor a framing that a plugin says', async () => {
    for (const line of ['GET /announced', 'HEAD /announced', 'GET /framed', 'HEAD /framed']) {
      const { text } = await send(message(`${line} HTTP/1.1`, 'Host: a', 'TE: trailers'), 2);
      expect([statuses(text), text.match(/\r\n(?:trailer|transfer-encoding):.*/i)], line).toEqual([[200, 200], null]);
    }
  });
});
