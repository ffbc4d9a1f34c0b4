import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GATEWAY_HOSTS, type RunningGateway, startGateway } from './gateway.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const SERVICE = '00000000-0000-4000-8000-000000000001';

/** A route whose requests are answered by plugins, with these headers. */
function answered(path: string, digit: number, headers: readonly string[]) {
  const id = (kind: string) => `00000000-0000-4000-8000-0000000000${kind}${digit}`;
  const nothing = { headers: [], json: [], json_types: [] };
  const kept = { append: nothing, remove: nothing, rename: nothing, replace: nothing };
  return {
    route: { id: id('d'), paths: [path], protocols: ['http'], service: { id: SERVICE } },
    plugins: [
      {
        id: id('e'),
        name: 'request-termination',
        route: { id: id('d') },
        config: { status_code: 200, message: 'no', content_type: null, body: null, echo: false, trigger: null },
      },
      {
        id: id('f'),
        name: 'response-transformer',
        route: { id: id('d') },
        config: { ...kept, add: { ...nothing, headers } },
      },
    ],
  };
}
const NAMED = answered('/named', 1, ['Server: Demo']);
const VIA = answered('/via', 2, ['Server: Demo', 'Via: kong/3.9.3']);

describe.each(GATEWAY_HOSTS)('headers of a proxied request on %s', (host) => {
  let upstream: Upstream;
  let gateway: RunningGateway;

  beforeAll(async () => {
    upstream = await startUpstream((request) => {
      if (request.line.includes('/hop'))
        return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Private, keep-alive\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nTrailer: X-T\r\nUpgrade: h2c\r\nVia: 1.1 other\r\nServer: nginx\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2, c\r\n\r\nok';
      if (request.line.includes('/dated'))
        return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\nok';
      return 'HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok';
    });
    gateway = await startGateway({
      host,
      peer: '127.0.0.1',
      proxy: { allowDebugHeader: true, portMaps: { 8000: 80 } },
      tables: {
        services: [
          { id: SERVICE, name: 'svc', protocol: 'http', host: '127.0.0.1', port: upstream.port, path: '/base' },
        ],
        routes: [
          {
            id: '00000000-0000-4000-8000-00000000000a',
            name: 'strip',
            paths: ['/api'],
            protocols: ['http'],
            service: { id: SERVICE },
          },
          {
            id: '00000000-0000-4000-8000-00000000000b',
            paths: ['/agents'],
            headers: { 'User-Agent': ['~*^mozilla/.*chrome/'] },
            protocols: ['http'],
            service: { id: SERVICE },
          },
          {
            id: '00000000-0000-4000-8000-00000000000c',
            paths: ['/versioned'],
            hosts: ['a'],
            headers: { 'X-Version': ['1'] },
            protocols: ['http'],
            service: { id: SERVICE },
          },
          NAMED.route,
          VIA.route,
        ],
        plugins: [...NAMED.plugins, ...VIA.plugins],
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const send = async (lines: string, target = '/api/x') => {
    upstream.seen.length = 0;
    const answer = await gateway.raw(`GET ${target} HTTP/1.1\r\nHost: Example.com:81\r\n${lines}\r\n`);
    const [request] = upstream.seen;
    if (request === undefined) throw new Error(`nothing arrived upstream: ${answer}`);
    return { request, answer };
  };

  it('tells the upstream where the request came from', async () => {
    const { request } = await send('');
    expect(request.line).toBe('GET /base/x HTTP/1.1');
    expect(request.header('Host')).toBe(`127.0.0.1:${upstream.port}`);
    expect(request.header('X-Real-IP')).toBe('127.0.0.1');
    expect(request.header('X-Forwarded-For')).toBe('127.0.0.1');
    expect(request.header('X-Forwarded-Proto')).toBe('http');
    expect(request.header('X-Forwarded-Host')).toBe('example.com');
    // Of `port_maps`, for the listener's: what a client writes behind its Host is not where it came in.
    expect(request.header('X-Forwarded-Port')).toBe('80');
    expect(request.header('X-Forwarded-Path')).toBe('/api/x');
    expect(request.header('X-Forwarded-Prefix')).toBe('/api');
    expect(request.header('Via')).toBe('1.1 kong/3.9.3');
    expect(request.header('X-Kong-Request-Id')).toMatch(/^[0-9a-f]{32}$/);
  });

  it('believes nothing an untrusted client says about others', async () => {
    const { request } = await send(
      'X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /evil\r\nMF-CF-Blob: {"clientIp":"6.6.6.6"}\r\nCF-Connecting-IP: 6.6.6.6\r\nX-Kong-Request-Id: mine\r\n',
    );
    expect(request.header('X-Forwarded-For')).toBe('6.6.6.6, 127.0.0.1');
    expect(request.header('X-Real-IP')).toBe('127.0.0.1');
    expect(request.header('X-Forwarded-Proto')).toBe('http');
    expect(request.header('X-Forwarded-Host')).toBe('example.com');
    expect(request.header('X-Forwarded-Prefix')).toBe('/api');
    expect(request.all('MF-CF-Blob')).toEqual([]);
    expect(request.all('CF-Connecting-IP')).toEqual([]);
    expect(request.header('X-Kong-Request-Id')).toMatch(/^[0-9a-f]{32}$/);
  });

  it('takes a list in one line for lines of their own only where the host does not tell them apart', async () => {
    const status = async (lines: string) =>
      (await gateway.raw(`GET /versioned HTTP/1.1\r\nHost: a\r\n${lines}\r\n`)).split(' ')[1];
    expect(await status('X-Version: 2\r\nX-Version: 1\r\n')).toBe('200');
    expect(await status('X-Version: 2, 1\r\n')).toBe(host === 'node' ? '404' : '200');
  });

  it('hands on no other spelling of what it says itself, nor names of its own parts', async () => {
    const twins = [
      'X_Consumer_Username',
      'X-Consumer_ID',
      'x_consumer_custom_id',
      'X_CONSUMER_GROUPS',
      'X.Credential.Identifier',
      'X_Credential-Username',
      'X-Anonymous_Consumer',
      'X_Authenticated_Userid',
      'X_Authenticated-Scope',
      'X_Forwarded_For',
      'X_Forwarded-Proto',
      'X-Forwarded_Host',
      'X_Forwarded_Prefix',
      'X_Real_IP',
      'X~Real~IP',
      'X_Kong_Request_Id',
      'CF_Connecting_IP',
      'MF_CF_Blob',
      'Content_Length',
      'Transfer_Encoding',
      'X-Holdfast-Egress-Target',
      'X-Holdfast-Egress-Token',
      'X_Holdfast_Anything',
    ];
    const { request } = await send(`${twins.map((name) => `${name}: 1\r\n`).join('')}X_Api_Version: 2\r\nX.Own: 3\r\n`);
    for (const name of twins) expect(request.all(name), name).toEqual([]);
    // A name that is nobody's twin is the client's own business.
    expect(request.all('X_Api_Version')).toEqual(['2']);
    expect(request.all('X.Own')).toEqual(['3']);
    expect(request.all('X-Real-IP')).toEqual(['127.0.0.1']);
  });

  it('chooses routes by headers with commas in them', async () => {
    const agent = 'User-Agent: Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0\r\n';
    expect((await send(agent, '/agents/x')).request.line).toBe('GET /base/x HTTP/1.1');
    const other = await gateway.raw('GET /agents/x HTTP/1.1\r\nHost: a\r\nUser-Agent: curl, like Chrome/1\r\n\r\n');
    expect(other).toMatch(/^HTTP\/1\.1 404 /);
  });

  it.each(['/api/x', '/versioned'])('takes blanks at the end of a value for no part of it: %s', async (target) => {
    upstream.seen.length = 0;
    const answer = await gateway.raw(
      `POST ${target} HTTP/1.1\r\nHost: a\r\nX-Version: 1 \r\nX-Version: 2\t \r\nX-A: a \tb\t\r\nX-B: \t\r\nContent-Length: 4\r\n\r\nbody`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    const [request] = upstream.seen;
    expect(request?.raw).toMatch(/\r\nX-Version: 1(?:, |\r\nX-Version: )2\r\n/);
    expect(request?.raw).toContain('\r\nX-A: a \tb\r\n');
    expect(request?.header('X-Forwarded-Host')).toBe('a');
    expect(request?.body).toBe('body');
  });

  it('keeps what belongs to one connection on that connection', async () => {
    const { request } = await send(
      'Connection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: 3\r\nExpect: 100-continue\r\nProxy: http://evil\r\nProxy-Connection: keep-alive\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\nCookie: a=1\r\nCookie: b=2\r\nX-Dup: 1\r\nX-Dup: 2\r\n',
    );
    for (const name of ['X-Hop', 'Keep-Alive', 'Expect', 'Proxy', 'Proxy-Connection', 'Upgrade'])
      expect(request.all(name), name).toEqual([]);
    expect(request.all('Connection').filter((value) => value !== 'keep-alive')).toEqual([]);
    // workerd drops trailers: nobody may be asked for them.
    expect(request.all('TE')).toEqual(host === 'node' ? ['trailers'] : []);
    expect(request.all('Cookie').join('; ')).toBe('a=1; b=2');
    expect(request.all('X-Dup')).toEqual(['1', '2']);
  });

  it('gives each request an id of its own', async () => {
    const request = 'GET /named HTTP/1.1\r\nHost: a\r\n';
    const answers = await gateway.raw(`${`${request}\r\n`.repeat(599)}${request}Connection: close\r\n\r\n`);
    const ids = [...answers.matchAll(/\r\nX-Kong-Request-Id: ([0-9a-f]{32})\r\n/gi)].map(([, id]) => id);
    expect(ids).toHaveLength(600);
    expect(new Set(ids).size).toBe(600);
  });

  it('marks what the upstream answered and drops its hop-by-hop headers', async () => {
    const { answer } = await send('Kong-Debug: 1\r\n', '/api/hop');
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toContain('\r\nVia: 1.1 other, 1.1 kong/3.9.3\r\n');
    expect(answer).toContain('\r\nServer: nginx\r\n');
    expect(answer).toMatch(/\r\nX-Kong-Upstream-Latency: \d+\r\n/);
    expect(answer).toMatch(/\r\nX-Kong-Proxy-Latency: \d+\r\n/);
    expect(answer).toMatch(/\r\nX-Kong-Request-Id: [0-9a-f]{32}\r\n/);
    expect(answer).toContain('\r\nKong-Route-Name: strip\r\n');
    expect(answer).toContain(`\r\nKong-Service-Id: ${SERVICE}\r\n`);
    expect(answer.match(/\r\nSet-Cookie: [^\r]+/g)).toEqual(['\r\nSet-Cookie: a=1', '\r\nSet-Cookie: b=2, c']);
    for (const name of ['X-Private', 'Keep-Alive', 'Trailer', 'Upgrade', 'X-Kong-Response-Latency'])
      expect(answer, name).not.toContain(`\r\n${name}:`);
    const plain = (await send('')).answer;
    expect(plain).toMatch(/^HTTP\/1\.1 200 Fine\r\n/);
    expect(plain).toContain('\r\nServer: kong/3.9.3\r\n');
  });

  it("says when it answered, unless the upstream has: in the upstream's name and its own", async () => {
    const date = /\r\nDate: (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT)\r\n/g;
    for (const answer of [(await send('')).answer, await gateway.raw('GET /none HTTP/1.1\r\nHost: a\r\n\r\n')]) {
      const [[, told = ''] = []] = answer.matchAll(date);
      expect(Math.abs(Date.parse(told) - Date.now())).toBeLessThan(60_000);
    }
    const dated = (await send('', '/api/dated')).answer;
    expect([...dated.matchAll(date)].map(([, told]) => told)).toEqual(['Mon, 01 Jan 2024 00:00:00 GMT']);
  });

  it.each<[string, readonly string[], readonly string[]]>([
    ['nothing', [], []],
    [
      'single ones',
      ['X-Kong-Upstream-Status', 'via', 'X-Kong-Proxy-Latency'],
      ['via', 'x-kong-proxy-latency', 'x-kong-upstream-status'],
    ],
    ['the tokens of latency', ['latency_tokens'], ['x-kong-proxy-latency', 'x-kong-upstream-latency']],
  ])('says %s where the settings name no more', async (_what, headers, expected) => {
    const terse = await startGateway({
      host,
      proxy: { headers, headersUpstream: [] },
      tables: {
        services: [{ id: SERVICE, protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: [{ id: SERVICE, paths: ['/'], protocols: ['http'], service: { id: SERVICE } }, NAMED.route],
        plugins: NAMED.plugins,
      },
    });
    upstream.seen.length = 0;
    const answer = await terse.raw('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const own = await terse.raw('GET /named HTTP/1.1\r\nHost: a\r\n\r\n');
    await terse.stop();
    expect(own).toMatch(/^HTTP\/1\.1 200 /);
    expect(own).not.toMatch(/\r\nServer:/i);
    const names = [...answer.toLowerCase().matchAll(/\r\n(via|server|x-kong-[^:]*):/g)].map(([, name]) => name);
    expect(names.sort()).toEqual(expected);
    if (expected.includes('x-kong-upstream-status')) expect(answer).toContain('\r\nX-Kong-Upstream-Status: 200\r\n');
    expect(upstream.seen[0]?.all('X-Kong-Request-Id')).toEqual([]);
  });

  it('marks what it answers itself', async () => {
    const answer = await gateway.raw('GET /none HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    const id = /\r\nX-Kong-Request-Id: ([0-9a-f]{32})\r\n/.exec(answer)?.[1];
    expect(answer).toContain('\r\nServer: kong/3.9.3\r\n');
    expect(answer).toMatch(/\r\nX-Kong-Response-Latency: \d+\r\n/);
    expect(answer).not.toContain('Via:');
    expect(answer.toLowerCase()).toContain('content-type: application/json; charset=utf-8');
    expect(answer.split('\r\n\r\n')[1]).toBe(
      `{\n  "message":"no Route matched with those values",\n  "request_id":"${id}"\n}`,
    );
  });

  it('says what server an answer of its own is of, unless its name is in Via', async () => {
    const servers = async (path: string) =>
      [...(await gateway.raw(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)).matchAll(/\r\nServer: *([^\r]*)/gi)].map(
        ([, server]) => server,
      );
    expect(await servers('/named')).toEqual(['kong/3.9.3']);
    expect(await servers('/via')).toEqual(['Demo']);
  });
});
