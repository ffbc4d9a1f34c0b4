import { createHash } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_WORKSPACE } from '../../../shared/workspace.ts';
import { admin } from '../../e2e/processes.ts';
import { freePorts } from '../../free-port.ts';
import { rawRequest } from '../../raw-http.ts';
import { until } from '../../until.ts';
import { hosts } from '../hosts.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { type CaseGateway, startCaseGateway } from './case-runner/gateway.ts';
import { type LogSink, startLogSink } from './log-sink.ts';

// What a Kong 3.9.3 sends to an HTTP server for the same requests, field by field.

const OK = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\nX-Up: 1\r\n\r\n{"up":"stream"}';
/** The key of RFC 6455 section 1.3; workerd sends upstream one of its own. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const switched = (key: string): string => {
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
};
const uuid = expect.stringMatching(/^[\da-f]{8}-([\da-f]{4}-){3}[\da-f]{12}$/);
const seconds = expect.any(Number);
const digits = expect.stringMatching(/^\d+$/);

/** Bytes of an answer behind its head, by its entry. */
function bodyOf(entry: Readonly<Record<string, unknown>>): number {
  const { size, headers } = entry.response as { size: number; headers: Record<string, string | string[]> };
  const lines = Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value) => `${name}: ${value}`),
  );
  return size - ['HTTP/1.1 200 OK', ...lines, '', ''].join('\r\n').length;
}

describe.each(hosts.filter(([name]) => name !== 'Miniflare'))('the log entry on %s', (host, start) => {
  let gateway: CaseGateway;
  let upstream: Upstream;
  let sink: LogSink;
  let portOfV6: number;

  beforeAll(async () => {
    sink = await startLogSink();
    upstream = await startUpstream(({ line, header }, socket) => {
      if (line.includes('/mid')) {
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${'x'.repeat(100)}`);
        return undefined;
      }
      if (line.includes('/chunks'))
        return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n';
      if (line.includes('/slow')) return undefined;
      if (line.includes('/drip')) {
        const dripping = setInterval(() => socket.write('x'.repeat(100)), 50);
        socket.once('close', () => clearInterval(dripping));
        return 'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n';
      }
      if (line.includes('/ws')) {
        socket.write(switched(header('sec-websocket-key') ?? ''));
        // A text, and the end of it.
        socket.end(Buffer.from([0x81, 2, 0x68, 0x69, 0x88, 2, 3, 0xe8]));
        return undefined;
      }
      if (line.includes('/repeat'))
        return 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n';
      if (line.startsWith('HEAD')) return 'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n';
      if (line.includes('/304')) return 'HTTP/1.1 304 Not Modified\r\nX-Up: 1\r\n\r\n';
      if (line.includes('/500')) return 'HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n';
      return OK;
    });
    const [v6 = 0] = await freePorts(1);
    portOfV6 = v6;
    const environment = {
      HOLDFAST_NGINX_HTTP_CLIENT_MAX_BODY_SIZE: '2m',
      HOLDFAST_PROXY_LISTEN: `127.0.0.1:0, 127.0.0.1:0 ssl${host === 'node' ? ' http2' : ''}, [::1]:${v6}`,
    };
    gateway = await startCaseGateway(start, { tls: true, environment });
    const post = (path: string, body: unknown) => admin(`${gateway.admin}${path}`, 'POST', body);
    const route = async (name: string, service: string | null, more: object = {}) => {
      const to = service === null ? {} : { service: { name: service } };
      return post('/routes', { name, hosts: [`${name}.test`], ...to, ...more });
    };
    const plugin = (on: string, name: string, config: object = {}) => post(`/routes/${on}/plugins`, { name, config });
    await post('/plugins', { name: 'http-log', config: { http_endpoint: `http://127.0.0.1:${sink.port}/log` } });
    const [unused] = await freePorts(1);
    const own = { host: '127.0.0.1', port: upstream.port };
    await post('/services', { name: 'up', ...own, retries: 2, tags: ['t1'] });
    await post('/services', { name: 'based', ...own, path: '/base' });
    await post('/services', { name: 'refused', host: '127.0.0.1', port: unused ?? 1, retries: 2 });
    await post('/services', { name: 'impatient', ...own, read_timeout: 300, retries: 1 });
    await route('main', 'up', { tags: ['rt1', 'rt2'] });
    await route('noservice', null);
    await route('refused', 'refused');
    await route('impatient', 'impatient');
    await route('https-only', 'up', { protocols: ['https'] });
    await route('based', 'based', { paths: ['/pre'] });
    await route('auth', 'up');
    await plugin('auth', 'key-auth', { key_names: ['apikey'] });
    await plugin('auth', 'correlation-id', { header_name: 'x-corr' });
    await post('/consumers', { username: 'ada', custom_id: 'cid', tags: ['c1'] });
    await post('/consumers/ada/key-auth', { key: 'obs-key' });
    await route('basic', 'up');
    await plugin('basic', 'basic-auth');
    await post('/consumers/ada/basic-auth', { username: 'ada', password: 'secret' });
    await post('/services', { name: 'unknown', host: 'nowhere.invalid' });
    await route('unknown', 'unknown');
    await route('size', 'up');
    await plugin('size', 'request-size-limiting', { allowed_payload_size: 1, size_unit: 'kilobytes' });
    await route('lua', 'up');
    await plugin('lua', 'http-log', {
      http_endpoint: `http://127.0.0.1:${sink.port}/log`,
      custom_fields_by_lua: {
        my_const: "return 'abc'",
        my_num: 'return 1.5',
        my_table: "return { a = 1, b = { 'x', 'y' } }",
        my_holes: 'return { 1, 2, nil, 4 }',
        my_false: 'return false',
        'my.dotted': "return 'd'",
        my_header: "return kong.request.get_header('x-case')",
        route: 'return nil',
        'request.headers.x-secret': 'return nil',
        authenticated_entity: "return 'replaced'",
        my_function: 'return function() end',
        my_error: "error('no')",
      },
    });
    await post('/upstreams', { name: 'empty.test' });
    await post('/services', { name: 'empty', url: 'http://empty.test' });
    await route('empty', 'empty');
    await post('/consumers', { username: 'nobody' });
    const ending: readonly (readonly [string, readonly (readonly [string, object])[]])[] = [
      ['term', [['request-termination', { status_code: 403 }]]],
      ['cached', [['proxy-cache', { strategy: 'memory' }]]],
      ['anon', [['key-auth', { anonymous: 'nobody' }]]],
      ['limited', [['rate-limiting', { year: 1, policy: 'local' }]]],
      ['boom', [['pre-function', { access: ["error('no')"] }]]],
      ['traced', [['zipkin', { http_endpoint: `http://127.0.0.1:${sink.port}/spans`, sample_ratio: 0 }]]],
      [
        'retitle',
        [
          [
            'request-transformer',
            { add: { headers: ['x-added:1'], querystring: ['added:1'] }, replace: { uri: '/else' } },
          ],
          ['response-transformer', { add: { headers: ['x-radd:1'] } }],
        ],
      ],
    ];
    for (const [name, all] of ending) {
      await route(name, 'up');
      for (const [which, config] of all) await plugin(name, which, config);
    }
    await route('fn', 'up');
    await plugin('fn', 'pre-function', {
      header_filter: ["kong.response.set_status(203) kong.response.set_header('X-Up', '2')"],
      log: [
        `local _, why = pcall(kong.service.response.get_raw_body)
         local service = kong.service.response
         kong.log.set_serialize_value('service', { service.get_status(), service.get_header('x-up'), why })`,
        `kong.log.set_serialize_value('from_fn', { n = 1 })
         kong.log.set_serialize_value('client_ip', 'x', { mode = 'add' })
         kong.log.set_serialize_value('absent', 'x', { mode = 'replace' })
         local entry = kong.log.serialize()
         kong.log.set_serialize_value('seen', entry.request.method .. entry.response.status .. entry.from_fn.n)`,
      ],
    });
    await route('whole', 'up');
    await plugin('whole', 'pre-function', {
      access: ['kong.service.request.enable_buffering()'],
      log: [`kong.log.set_serialize_value('whole', { kong.ctx.shared.seen, kong.service.response.get_raw_body() })`],
    });
    await plugin('whole', 'response-transformer', { replace: { json: ['up:changed'] } });
    await plugin('whole', 'post-function', {
      body_filter: ['kong.ctx.shared.seen = kong.service.response.get_body().up'],
    });
    await gateway.applied();
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
    await sink?.stop();
  });

  /** Sends a request that can be found again; answers with its entry. */
  const entryOf = async (
    name: string,
    line: string,
    { host = 'main', headers = [] as readonly string[], body = '' } = {},
  ): Promise<Record<string, unknown>> => {
    const lines = [line, `Host: ${host}.test`, 'User-Agent: obs/1', `X-Case: ${name}`, ...headers];
    await rawRequest(gateway.ports.plain, [...lines, 'Connection: close'], body);
    return find(name);
  };
  const find = async (name: string): Promise<Record<string, unknown>> => {
    const { text } = await sink.find(`the entry of ${name}`, (sent) => sent.text.includes(`"x-case":"${name}"`));
    return JSON.parse(text);
  };

  it('of a proxied request has every field of Kong, and no other', async () => {
    const entry = await entryOf('get', 'GET /ok HTTP/1.1', {
      headers: ['Authorization: Basic c2VjcmV0', 'Cookie: a=b'],
    });
    expect(entry).toEqual({
      client_ip: '127.0.0.1',
      started_at: expect.closeTo(Date.now(), -6),
      latencies: { kong: seconds, proxy: seconds, receive: seconds, request: seconds },
      request: {
        id: expect.stringMatching(/^[\da-f]{32}$/),
        method: 'GET',
        uri: '/ok',
        url: `http://main.test:${gateway.ports.plain}/ok`,
        querystring: {},
        size: seconds,
        headers: expect.objectContaining({
          host: 'main.test',
          'user-agent': 'obs/1',
          'x-case': 'get',
          authorization: 'REDACTED',
          cookie: 'a=b',
        }),
      },
      response: {
        status: 200,
        size: seconds,
        headers: {
          'content-type': 'application/json',
          'content-length': '15',
          'x-up': '1',
          date: expect.any(String),
          ...(host === 'workerd' && { 'proxy-connection': 'close' }),
          server: 'kong/3.9.3',
          via: '1.1 kong/3.9.3',
          'x-kong-proxy-latency': digits,
          'x-kong-upstream-latency': digits,
          'x-kong-request-id': expect.stringMatching(/^[\da-f]{32}$/),
        },
      },
      route: {
        id: uuid,
        name: 'main',
        hosts: ['main.test'],
        tags: ['rt1', 'rt2'],
        protocols: ['http', 'https'],
        https_redirect_status_code: 426,
        path_handling: 'v0',
        preserve_host: false,
        regex_priority: 0,
        request_buffering: true,
        response_buffering: true,
        strip_path: true,
        service: { id: uuid },
        created_at: seconds,
        updated_at: seconds,
        ws_id: uuid,
      },
      service: {
        id: uuid,
        name: 'up',
        host: '127.0.0.1',
        port: upstream.port,
        protocol: 'http',
        enabled: true,
        retries: 2,
        tags: ['t1'],
        connect_timeout: 60000,
        read_timeout: 60000,
        write_timeout: 60000,
        created_at: seconds,
        updated_at: seconds,
        ws_id: uuid,
      },
      source: 'upstream',
      tries: [
        {
          ip: '127.0.0.1',
          port: upstream.port,
          balancer_start: seconds,
          balancer_start_ns: seconds,
          balancer_latency: seconds,
          balancer_latency_ns: seconds,
        },
      ],
      upstream_status: '200',
      upstream_uri: '/ok',
      workspace: entry.workspace,
      workspace_name: DEFAULT_WORKSPACE.name,
    });
    const { request, response } = entry as { request: { size: number }; response: { size: number } };
    expect(request.size).toBe(
      Buffer.byteLength(
        'GET /ok HTTP/1.1\r\nHost: main.test\r\nUser-Agent: obs/1\r\nX-Case: get\r\nAuthorization: Basic c2VjcmV0\r\nCookie: a=b\r\nConnection: close\r\n\r\n',
      ),
    );
    expect(response.size).toBeGreaterThan(200);
    expect(response.size).toBeLessThan(400);
    expect(sink.received[0]).toMatchObject({ method: 'POST', target: '/log' });
    expect(sink.received[0]?.headers['content-type']).toBe('application/json');
  });

  it('tells the query decoded, and the path upstream', async () => {
    const entry = await entryOf('query', 'GET /pre/x?q=1&q=2&e=%C3%A9+x&flag&empty=&%5Bk%5D=v HTTP/1.1', {
      host: 'based',
    });
    expect(entry).toMatchObject({
      request: {
        uri: '/pre/x?q=1&q=2&e=%C3%A9+x&flag&empty=&%5Bk%5D=v',
        querystring: { q: ['1', '2'], e: 'é x', flag: true, empty: '', '[k]': 'v' },
      },
      upstream_uri: '/base/x?q=1&q=2&e=%C3%A9+x&flag&empty=&%5Bk%5D=v',
    });
  });

  it('tells who sent it, and what plugins made of its headers', async () => {
    const entry = await entryOf('key-auth', 'GET /ok HTTP/1.1', {
      host: 'auth',
      headers: ['apikey: obs-key', 'X-Corr: given'],
    });
    expect(entry).toMatchObject({
      authenticated_entity: { id: uuid },
      correlation_id: 'given',
      request: { headers: { apikey: 'obs-key', 'x-consumer-username': 'ada', 'x-credential-identifier': uuid } },
    });
    expect(entry.authenticated_entity).toEqual({ id: uuid });
    expect(entry.consumer).toEqual({
      id: uuid,
      username: 'ada',
      custom_id: 'cid',
      tags: ['c1'],
      created_at: seconds,
      updated_at: seconds,
    });
  });

  const gateways = { source: 'kong', upstream_status: '' };
  it.each([
    [
      '401',
      { host: 'auth' },
      { ...gateways, tries: [], upstream_uri: '/ok', latencies: { proxy: -1 }, response: { status: 401 } },
    ],
    [
      '404',
      { host: 'nowhere' },
      { ...gateways, upstream_uri: '', latencies: { proxy: -1 }, response: { status: 404 } },
    ],
    ['503', { host: 'noservice' }, { ...gateways, tries: [], upstream_uri: '/ok', response: { status: 503 } }],
    ['426', { host: 'https-only' }, { ...gateways, upstream_uri: '', response: { status: 426 } }],
  ])('of an answer of the gateway: %s', async (name, options, fields) => {
    const entry = await entryOf(`own-${name}`, 'GET /ok HTTP/1.1', options);
    expect(entry).toMatchObject(fields);
    expect(entry).toMatchObject({ response: { headers: { 'content-length': digits } } });
    const matched = 'tries' in fields;
    expect([entry.route !== undefined, entry.tries !== undefined]).toEqual([matched, matched]);
    expect(entry.service !== undefined).toBe(name === '401');
  });

  const TRACE = '0af7651916cd43dd8448eb211c80319c';
  const ownAnswer = { ...gateways, tries: [], upstream_uri: '/ok', latencies: { proxy: -1 } };
  const upstreams = { source: 'upstream', upstream_status: '200', tries: [{ ip: '127.0.0.1' }] };
  it.each<[string, Parameters<typeof entryOf>[2], string, object]>([
    ['ended by a plugin', { host: 'term' }, 'GET /ok', { ...ownAnswer, response: { status: 403 } }],
    ['a limit has been reached for', { host: 'limited' }, 'GET /ok', { ...ownAnswer, response: { status: 429 } }],
    ['a plugin throws at', { host: 'boom' }, 'GET /ok', { ...ownAnswer, response: { status: 500 } }],
    ['an upstream without targets gets', { host: 'empty' }, 'GET /ok', { ...ownAnswer, response: { status: 503 } }],
    [
      'answered from the cache',
      { host: 'cached' },
      'GET /ok',
      {
        ...{ ...ownAnswer, latencies: { proxy: 0 } },
        response: { status: 200, headers: { 'x-cache-status': 'Hit', 'x-up': '1', via: '1.1 kong/3.9.3' } },
      },
    ],
    [
      'of nobody known',
      { host: 'anon' },
      'GET /ok',
      {
        ...upstreams,
        consumer: { username: 'nobody' },
        request: { headers: { 'x-anonymous-consumer': 'true', 'x-consumer-username': 'nobody' } },
      },
    ],
    [
      'that plugins change',
      { host: 'retitle' },
      'GET /ok?orig=1',
      {
        ...upstreams,
        request: { uri: '/ok?orig=1', querystring: { orig: '1', added: '1' }, headers: { 'x-added': '1' } },
        response: { headers: { 'x-radd': '1', 'x-up': '1' } },
        upstream_uri: '/else?added=1&orig=1',
      },
    ],
    [
      'of a trace',
      { host: 'traced', headers: [`traceparent: 00-${TRACE}-b7ad6b7169203331-01`] },
      'GET /ok',
      { ...upstreams, trace_id: { w3c: TRACE } },
    ],
    [
      'with credentials for a proxy',
      { headers: ['Proxy-Authorization: Basic c2VjcmV0', 'Authorization: Basic c2VjcmV0'] },
      'GET /ok',
      { ...upstreams, request: { headers: { authorization: 'REDACTED', 'proxy-authorization': 'REDACTED' } } },
    ],
    [
      'that says whom it is forwarded for, which nobody believes',
      { headers: ['X-Forwarded-For: 9.9.9.9', 'X-Forwarded-Proto: https', 'X-Real-IP: 8.8.8.8'] },
      'GET /ok',
      {
        ...{ ...upstreams, client_ip: '127.0.0.1' },
        request: { headers: { 'x-forwarded-for': '9.9.9.9', 'x-forwarded-proto': 'https', 'x-real-ip': '8.8.8.8' } },
      },
    ],
    ['for the options there are', {}, 'OPTIONS /ok', { ...upstreams, request: { method: 'OPTIONS' } }],
    [
      'whose client has it already',
      {},
      'GET /304',
      {
        ...upstreams,
        upstream_status: '304',
        upstream_uri: '/304',
        response: { status: 304, headers: { 'x-up': '1' } },
      },
    ],
    [
      'whose body comes in chunks',
      { headers: ['Transfer-Encoding: chunked'], body: '3\r\na=1\r\n4\r\n&b=2\r\n0\r\n\r\n' },
      'POST /ok',
      { ...upstreams, request: { method: 'POST', headers: { 'transfer-encoding': 'chunked' } } },
    ],
  ])('of a request %s has what Kong has of it', async (name, options, line, expected) => {
    // The first is let through, or asks the upstream.
    if (options?.host === 'limited' || options?.host === 'cached')
      await entryOf(`${options.host} first`, `${line} HTTP/1.1`, options);
    const entry = await entryOf(name, `${line} HTTP/1.1`, options);
    expect(entry).toMatchObject(expected);
    if (options?.host !== 'anon') expect(entry).not.toHaveProperty('consumer');
    expect(entry).not.toHaveProperty('authenticated_entity');
  });

  const plain = () => connect(gateway.ports.plain, '127.0.0.1');
  const tls = (options: ConnectionOptions) =>
    connectTls({ port: gateway.ports.tls ?? 0, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  /** Of what is sent as it is, over a connection that is open until then. */
  const entryFrom = async (socket: Socket, name: string, text: string): Promise<Record<string, unknown>> => {
    socket.on('error', () => undefined).resume();
    socket.write(text);
    return find(name).finally(() => socket.destroy());
  };
  const headOf = (name: string, line: string, ...headers: readonly string[]): string =>
    [line, `X-Case: ${name}`, ...headers, '', ''].join('\r\n');
  const many = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`x-n${at}`, String(at)]));
  const big = 'x'.repeat(6000);
  it.each<[string, () => Socket, readonly [string, ...string[]], object]>([
    ['in HTTP/1.0', plain, ['GET /ok HTTP/1.0', 'Host: main.test'], upstreams],
    [
      'for the head alone',
      plain,
      ['HEAD /ok HTTP/1.1', 'Host: main.test'],
      { ...upstreams, request: { method: 'HEAD' }, response: { status: 200, headers: { 'content-length': '15' } } },
    ],
    [
      'from an address of IPv6',
      () => connect(portOfV6, '::1'),
      ['GET /ok HTTP/1.1', 'Host: main.test'],
      { ...upstreams, client_ip: '::1' },
    ],
    [
      'of somebody who says who they are by basic-auth',
      plain,
      ['GET /ok HTTP/1.1', 'Host: basic.test', `Authorization: Basic ${btoa('ada:secret')}`],
      {
        ...{ ...upstreams, consumer: { username: 'ada', custom_id: 'cid' }, authenticated_entity: { id: uuid } },
        request: {
          headers: {
            authorization: 'REDACTED',
            'x-consumer-username': 'ada',
            'x-consumer-custom-id': 'cid',
            'x-consumer-id': uuid,
            'x-credential-identifier': 'ada',
          },
        },
      },
    ],
    [
      'of more than a hundred lines, beyond which Kong sees nothing',
      plain,
      [
        ...(['GET /ok HTTP/1.1', 'Host: main.test', `X-Big: ${big}`] as const),
        ...Object.entries(many).map(([key, value]) => `${key}: ${value}`),
      ],
      { ...upstreams, request: { headers: { 'x-big': big, ...many } } },
    ],
    [
      'to a name that leads nowhere',
      plain,
      ['GET /ok HTTP/1.1', 'Host: unknown.test'],
      { ...ownAnswer, service: { host: 'nowhere.invalid' }, response: { status: 503 } },
    ],
  ])('of a request %s has what Kong has of it, and its size', async (name, socket, [line, ...headers], expected) => {
    const text = headOf(name, line, ...headers);
    const entry = await entryFrom(socket(), name, text);
    expect(entry).toMatchObject(expected);
    expect(entry).toMatchObject({ request: { size: text.length } });
    expect(entry.request as object).not.toHaveProperty('tls');
    // A list of so many must be as long as that.
    if ('tries' in expected) expect(entry.tries).toHaveLength((expected.tries as object[]).length);
  });

  const fromNode = (fields: object) => (host === 'node' ? { ...fields, client_verify: 'NONE' } : undefined);
  it.each([
    ['TLSv1.3', { servername: 'main.test' }, { cipher: 'TLS_AES_256_GCM_SHA384' }],
    ['TLSv1.2', { maxVersion: 'TLSv1.2' }, { cipher: expect.stringMatching(/^ECDHE-ECDSA-AES\d+-GCM-SHA\d+$/) }],
  ] as const)('of a request over %s says so, where the host tells', async (version, options, cipher) => {
    const text = headOf(version, 'GET /ok HTTP/1.1', 'Host: main.test');
    const entry = await entryFrom(tls(options), version, text);
    expect(entry).toMatchObject({
      ...upstreams,
      request: { url: `https://main.test:${gateway.ports.tls}/ok`, size: text.length },
    });
    expect((entry.request as { tls?: object }).tls).toEqual(fromNode({ version, ...cipher }));
  });

  it.runIf(host === 'node')('of a request in HTTP/2 is as one in HTTP/1.1, with the host it named', async () => {
    const authority = `main.test:${gateway.ports.tls}`;
    const session = connectHttp2(`https://${authority}`, {
      createConnection: () => tls({ servername: 'main.test', ALPNProtocols: ['h2'] }),
    });
    const stream = session.request({ ':path': '/ok?x=1', 'x-case': 'http2', 'user-agent': 'obs/1' });
    stream.resume().end();
    const entry = await find('http2').finally(() => session.destroy());
    expect(entry).toMatchObject({
      ...upstreams,
      request: {
        method: 'GET',
        uri: '/ok?x=1',
        url: `https://${authority}/ok?x=1`,
        querystring: { x: '1' },
        tls: fromNode({ version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' }),
      },
      upstream_uri: '/ok?x=1',
    });
    expect((entry.request as { headers: object }).headers).toEqual({
      host: authority,
      'user-agent': 'obs/1',
      'x-case': 'http2',
    });
  });

  it('of a request whose client asks whether its body is wanted has that body', async () => {
    const head = headOf('expect', 'POST /ok HTTP/1.1', 'Host: main.test', 'Content-Length: 3', 'Expect: 100-continue');
    const socket = plain();
    // Workerd says nothing of it: clients do not wait for ever.
    if (host === 'node') socket.once('data', () => socket.write('a=1'));
    const entry = await entryFrom(socket, 'expect', host === 'node' ? head : `${head}a=1`);
    expect(entry).toMatchObject({
      ...upstreams,
      request: { method: 'POST', size: head.length + 3, headers: { expect: '100-continue', 'content-length': '3' } },
      response: { status: 200 },
    });
  });

  it('of a body that its client breaks off has 400, and the try that had begun', async () => {
    const head = headOf('upload', 'POST /ok HTTP/1.1', 'Host: main.test', 'Content-Length: 1000');
    const socket = plain();
    socket.once('connect', () => socket.end());
    expect(await entryFrom(socket, 'upload', `${head}0123456789`)).toMatchObject({
      ...{ source: 'kong', upstream_status: '-', upstream_uri: '/ok', tries: [{ ip: '127.0.0.1' }] },
      response: { status: 400 },
    });
  });

  // Workerd serves lines of any length that fits into its head.
  const long = 'x'.repeat(40_000);
  const tooLong: readonly (readonly [number, ...string[]])[] = [
    [400, 'GET /ok HTTP/1.1', 'Host: main.test', `X-Big: ${long}`],
    [414, `GET /${long} HTTP/1.1`, 'Host: main.test'],
  ];
  it('is not made of what is no request, or none that is served', async () => {
    const refused: readonly (readonly [number, ...string[]])[] = [
      [400, 'GET /ok HTTP/1.1', 'Host: main.test', 'no field'],
      [400, 'GET /ok HTTP/1.1', 'X-Case: refused'],
      ...(host === 'node' ? tooLong : []),
    ];
    const before = sink.received.length;
    for (const [status, ...lines] of refused)
      expect((await rawRequest(gateway.ports.plain, [...lines, 'Connection: close'])).status).toBe(status);
    await entryOf('behind-the-refused', 'GET /ok HTTP/1.1');
    const since = sink.received.slice(before).map(({ text }) => String(JSON.parse(text).request.uri));
    expect(since).toEqual(['/ok']);
  });

  it.each([
    ['a plugin', 'size', 2_000, { tries: [], upstream_uri: '/ok' }],
    ['the node', 'main', 3_000_000, { upstream_uri: '' }],
  ])('of a body that is too long for %s has 413, and no size of what was not read', async (_, host, length, fields) => {
    const name = `413-${host}`;
    const lines = ['POST /ok HTTP/1.1', `Host: ${host}.test`, `X-Case: ${name}`, `Content-Length: ${length}`];
    const socket = connect(gateway.ports.plain, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    socket.resume();
    const entry = await find(name);
    socket.destroy();
    expect(entry).toMatchObject({
      ...gateways,
      ...fields,
      latencies: { proxy: -1 },
      request: { method: 'POST', size: `${lines.join('\r\n')}\r\n\r\n`.length },
      response: { status: 413 },
    });
  });

  it('of a WebSocket is written at its end, and has its 101', async () => {
    const lines = ['GET /ws HTTP/1.1', 'Host: main.test', 'X-Case: websocket', 'Connection: Upgrade'];
    const more = ['Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${KEY}`];
    const socket = connect(gateway.ports.plain, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`${[...lines, ...more].join('\r\n')}\r\n\r\n`);
    // The answer to the upstream's end, as a client must mask it.
    socket.once('data', () => socket.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 3, 0xe8])));
    const entry = await find('websocket');
    socket.destroy();
    expect(entry).toMatchObject({
      source: 'upstream',
      upstream_status: '101',
      upstream_uri: '/ws',
      request: { method: 'GET', uri: '/ws' },
      response: { status: 101 },
    });
    expect((entry.tries as object[])[0]).not.toHaveProperty('state');
  });

  const failed = (code: number) => ({ state: 'failed', code, ip: '127.0.0.1' });
  it.each([
    ['refused', 'GET /ok', 502, '502, 502, 502', [failed(502), failed(502), failed(502)]],
    ['impatient', 'GET /slow', 504, '504, 504', [failed(504), failed(504)]],
  ])('of an upstream that fails (%s) has all tries', async (host, line, status, statuses, tries) => {
    const entry = await entryOf(`fails-${host}`, `${line} HTTP/1.1`, { host });
    expect(entry).toMatchObject({ source: 'kong', upstream_status: statuses, response: { status } });
    expect(entry.tries).toMatchObject(tries);
    expect(entry.latencies).not.toMatchObject({ proxy: -1 });
  });

  it('has a line of the error log beside it that names the request, where it went, and why that failed', async () => {
    await entryOf('told', 'GET /told?secret=1 HTTP/1.1', { host: 'refused' });
    const told = () => gateway.log.filter((line) => line.includes('/told'));
    const facts =
      /request \w{32}: GET \/told, client 127\.0\.0\.1, route refused, service refused, upstream 127\.0\.0\.1:\d+: \w+: ./;
    await expect
      .poll(told, { message: 'the line of a request that failed', timeout: 60_000 })
      .toEqual([expect.stringMatching(facts)]);
    expect(told().join()).not.toContain('secret');
  });

  it('of an upstream that dies in the middle of its body says so of the try', async () => {
    const socket = connect(gateway.ports.plain, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET /mid HTTP/1.1\r\nHost: main.test\r\nX-Case: mid-body\r\n\r\n');
    socket.resume();
    const entry = await find('mid-body');
    socket.destroy();
    expect(entry).toMatchObject({ source: 'upstream', upstream_status: '200', response: { status: 200 } });
    expect(entry.tries).toMatchObject([failed(502)]);
    // What came of it, not what it said it would be.
    expect(bodyOf(entry)).toBe(100);
  });

  it('of a body in chunks has what came of it, where the host moves the body itself', async () => {
    const entry = await entryOf('chunks', 'GET /chunks HTTP/1.1');
    expect(bodyOf(entry)).toBe(host === 'node' ? 'hello world'.length : 0);
  });

  it.each([
    ['slow', '-', 'before there is an answer'],
    ['drip', '200', 'in the middle of the answer'],
  ])('of a client that leaves (/%s) has 499', async (path, status) => {
    const socket = connect(gateway.ports.plain, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`GET /${path} HTTP/1.1\r\nHost: main.test\r\nX-Case: left-${path}\r\n\r\n`);
    if (path === 'drip') await new Promise((resolve) => socket.once('data', resolve));
    else
      await until(() => upstream.seen.some(({ header }) => header('x-case') === 'left-slow'), 'the request upstream');
    socket.destroy();
    const entry = await find(`left-${path}`);
    expect(entry).toMatchObject({ source: 'upstream', upstream_status: status, response: { status: 499, size: 0 } });
    expect((entry.tries as object[])[0]).not.toHaveProperty('state');
  });

  it('has lines of Set-Cookie one by one, others where the host tells them apart, and sizes of bodies', async () => {
    const twice = ['X-Twice: 1', 'X-Twice: 2'];
    expect(await entryOf('repeat', 'GET /repeat HTTP/1.1', { headers: twice })).toMatchObject({
      request: { headers: { 'x-twice': host === 'node' ? ['1', '2'] : '1, 2' } },
      response: { headers: { 'set-cookie': ['a=1', 'b=2'] } },
    });
    const entry = await entryOf('post', 'POST /ok HTTP/1.1', { headers: ['Content-Length: 7'], body: 'a=1&b=2' });
    const head =
      'POST /ok HTTP/1.1\r\nHost: main.test\r\nUser-Agent: obs/1\r\nX-Case: post\r\nContent-Length: 7\r\nConnection: close\r\n\r\n';
    expect(entry).toMatchObject({ request: { method: 'POST', size: head.length + 7 } });
    expect(await entryOf('upstreams-500', 'GET /500 HTTP/1.1')).toMatchObject({
      source: 'upstream',
      upstream_status: '500',
      response: { status: 500 },
    });
  });

  it('has the fields that Lua computes; one that fails is left out, and the rest is logged', async () => {
    const entry = await entryOf('lua', 'GET /ok HTTP/1.1', { host: 'lua', headers: ['X-Secret: s'] });
    expect(entry).toMatchObject({
      my_const: 'abc',
      my_num: 1.5,
      my_table: { a: 1, b: ['x', 'y'] },
      my_holes: [1, 2, null, 4],
      my_false: false,
      my: { dotted: 'd' },
      my_header: 'lua',
      authenticated_entity: 'replaced',
    });
    expect(Object.keys(entry)).not.toEqual(expect.arrayContaining(['route']));
    expect(entry).not.toHaveProperty('my_function');
    expect(entry).not.toHaveProperty('my_error');
    expect((entry.request as { headers: object }).headers).not.toHaveProperty('x-secret');
  });

  it('can be read and changed by functions of the log phase', async () => {
    const entry = await entryOf('fn', 'GET /ok HTTP/1.1', { host: 'fn' });
    expect(entry).toMatchObject({ from_fn: { n: 1 }, client_ip: '127.0.0.1', seen: 'GET2031' });
    expect(entry).not.toHaveProperty('absent');
    expect(entry.service).toEqual([200, '1', expect.stringContaining('only available with buffered proxying')]);
  });

  it('can have the whole answer of the service, where somebody said that it would be asked for', async () => {
    expect((await entryOf('whole', 'GET /ok HTTP/1.1', { host: 'whole' })).whole).toEqual([
      'stream',
      '{"up":"stream"}',
    ]);
  });
});
