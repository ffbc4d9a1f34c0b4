import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import openTelemetry from '../../../../edge-dp/plugins/opentelemetry.ts';
import { requestSpans } from '../../../../edge-dp/plugins/tracing/request-spans.ts';
import { compileZipkinSpans } from '../../../../edge-dp/plugins/tracing/zipkin-spans.ts';
import type { OpentelemetryConfig } from '../../../../shared/plugins/opentelemetry.ts';
import { isRecord } from '../../../../shared/record.ts';
import { KONG_VERSION } from '../../../../shared/version.ts';
import { type RunningGateway, startGateway } from '../../proxy/gateway.ts';
import { exchangeOf } from '../exchange-of.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from '../fakes.ts';
import { proxyConfig } from '../llm-config.ts';
import { overAtOnce } from '../logged.ts';
import { isOtlp } from './otlp-messages.ts';
import { attributes, bytes, decode, type Message, nested, text } from './protobuf.ts';
import { faultsOfSpans } from './zipkin-api.ts';

/** What spans of a request look like, and where they are sent: on a real socket, with collectors of the test's own. */

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';

interface Post {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const MODEL_ANSWER = JSON.stringify({
  model: 'm-2',
  choices: [{ message: { content: 'x' } }],
  usage: { prompt_tokens: 1000, completion_tokens: 20 },
});
/** What a plugin records, and what it is refused. */
const RECORDS = `
  local attributes = { number = 1.5, truth = true, list = { 'a', 'b' }, map = { key = 'v' } }
  assert(kong.telemetry.log('mine', {}, 'result', 'it is done', attributes))
  assert(kong.telemetry.log('mine', {}, 'silent'))
  kong.log.warn(select(2, kong.telemetry.log('mine')), ', ', select(2, kong.telemetry.log('mine', {})))
`;
const posts: Post[] = [];
const upstreamSaw: IncomingHttpHeaders[] = [];
let failures = 0;
const servers: ReturnType<typeof createServer>[] = [];
let gateway: RunningGateway;

async function listening(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const PROPAGATION = { extract: null, clear: null, inject: null };
const QUEUE = {
  max_batch_size: 200,
  max_coalescing_delay: 0.05,
  max_entries: 10_000,
  max_bytes: null,
  max_retry_time: 60,
  initial_retry_delay: 0.01,
  max_retry_delay: 1,
  concurrency_limit: 1,
};

/** What zipkin says of requests. */
const ZIPKIN: Parameters<typeof compileZipkinSpans>[0] = {
  local_service_name: 'kong',
  default_service_name: 'by-default',
  include_credential: true,
  tags_header: 'Zipkin-Tags',
  static_tags: [{ name: 'st', value: '1' }],
  http_span_name: 'method_path',
  phase_duration_flavor: 'annotations',
};

beforeAll(async () => {
  const collector = await listening((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (failures > 0) {
        failures -= 1;
        response.writeHead(503).end();
        return;
      }
      posts.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) });
      response.writeHead(202).end('{}');
    });
  });
  const upstream = await listening((request, response) => {
    upstreamSaw.push(request.headers);
    response.writeHead(200).end(request.url?.startsWith('/model') ? MODEL_ANSWER : 'answer');
  });
  const silent = await listening((request) => request.resume());
  const closed = await listening(() => undefined);
  await new Promise((resolve) => servers.pop()?.close(resolve));

  const opentelemetry = {
    traces_endpoint: `http://user:secret@127.0.0.1:${collector}/v1/traces?key=secret`,
    logs_endpoint: `http://127.0.0.1:${collector}/v1/logs`,
    headers: { 'X-Key': 'v' },
    resource_attributes: { 'service.name': 'my-svc', 'deployment.environment': 'test' },
    queue: QUEUE,
    connect_timeout: 1000,
    send_timeout: 5000,
    read_timeout: 5000,
    http_response_header_for_traceid: 'X-Trace',
    header_type: 'preserve',
    sampling_rate: null,
    propagation: { ...PROPAGATION, default_format: 'w3c' },
  };
  const zipkin = {
    ...ZIPKIN,
    http_endpoint: `http://127.0.0.1:${collector}/api/v2/spans`,
    sample_ratio: 1,
    traceid_byte_count: 16,
    header_type: 'preserve',
    default_header_type: 'b3',
    connect_timeout: 2000,
    send_timeout: 5000,
    read_timeout: 5000,
    http_response_header_for_traceid: null,
    queue: QUEUE,
    propagation: { ...PROPAGATION, default_format: 'b3' },
  };
  const none = { certificate: [], rewrite: [], header_filter: [], body_filter: [], log: [] };
  const lua = { ...none, access: ['kong.log.err("hi from lua")', RECORDS] };
  const service = (id: string, port: number) => ({
    id,
    name: id,
    protocol: 'http',
    host: '127.0.0.1',
    port,
    path: '/up',
    retries: 1,
  });
  const route = (id: string, to: string | null) => ({
    id,
    name: id,
    paths: [`/${id}`],
    protocols: ['http'],
    ...(to !== null && { service: { id: to } }),
  });
  const plugin = (id: string, name: string, on: string, config: object) => ({ id, name, route: { id: on }, config });
  gateway = await startGateway({
    lingering: 10_000,
    proxy: { tracing: { instrumentations: ['all'], samplingRate: 1 } },
    tables: {
      services: [service('backend', upstream), service('away', closed)],
      routes: [
        route('otel', 'backend'),
        route('refused', 'away'),
        route('zipkin', 'backend'),
        route('nowhere', null),
        route('silent', null),
        route('model', 'backend'),
        route('barred', 'backend'),
        route('logged', 'backend'),
      ],
      plugins: [
        plugin('p1', 'opentelemetry', 'otel', opentelemetry),
        plugin('p2', 'opentelemetry', 'refused', opentelemetry),
        plugin('p3', 'zipkin', 'zipkin', zipkin),
        plugin('p4', 'zipkin', 'nowhere', zipkin),
        plugin('p9', 'zipkin', 'silent', {
          ...zipkin,
          http_endpoint: `http://127.0.0.1:${silent}/`,
          read_timeout: 123,
          queue: { ...QUEUE, max_retry_time: 0 },
        }),
        plugin(
          'p6',
          'ai-proxy',
          'model',
          proxyConfig({
            provider: 'azure',
            options: { upstream_url: `http://127.0.0.1:${upstream}/model`, input_cost: 2, output_cost: 50 },
          }),
        ),
        plugin('p7', 'opentelemetry', 'model', opentelemetry),
        plugin('p8', 'zipkin', 'model', zipkin),
        plugin('p5', 'pre-function', 'otel', lua),
        plugin('q4', 'opentelemetry', 'logged', { ...opentelemetry, traces_endpoint: null }),
        plugin('q5', 'pre-function', 'logged', { ...none, access: ['kong.log.err("alone")'] }),
        plugin('q1', 'pre-function', 'barred', { ...none, access: ['kong.response.exit(403)'] }),
        plugin('q2', 'opentelemetry', 'barred', opentelemetry),
        plugin('q3', 'zipkin', 'barred', { ...zipkin, http_response_header_for_traceid: 'X-Zipkin' }),
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  for (const server of servers) server.close();
});

async function get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  posts.length = 0;
  upstreamSaw.length = 0;
  const response = await fetch(`${gateway.url}${path}`, { headers });
  await response.arrayBuffer();
  return response;
}

async function arrived(path: string): Promise<readonly Post[]> {
  await expect.poll(() => posts.filter((post) => post.path === path).length, { message: `spans at ${path}` }).toBe(1);
  return posts.filter((post) => post.path === path);
}

/** The one scope of an OTLP request. */
function scopeOf({ path, body }: Post): {
  readonly resource: Readonly<Record<string, unknown>>;
  readonly items: readonly Message[];
} {
  expect(isOtlp(path === '/v1/logs' ? 'Logs' : 'Traces', body)).toBe(true);
  const [whole] = nested(decode(body), 1);
  const [resource] = nested(whole ?? new Map(), 1);
  const [scope] = nested(whole ?? new Map(), 2);
  if (resource === undefined || scope === undefined) throw new Error('no OTLP request');
  return { resource: attributes(resource, 1), items: nested(scope, 2) };
}

function spansOf(post: Post) {
  return scopeOf(post).items.map((span) => ({
    name: text(span, 5),
    kind: span.get(6)?.[0],
    trace: bytes(span, 1)[0]?.toString('hex'),
    id: bytes(span, 2)[0]?.toString('hex'),
    parent: bytes(span, 4)[0]?.toString('hex') ?? null,
    start: Number(span.get(7)?.[0]) / 1e6,
    end: Number(span.get(8)?.[0]) / 1e6,
    attributes: attributes(span, 9),
    failed: nested(span, 15)[0]?.get(3)?.[0] === 2,
  }));
}

function spansIn(post: Post | undefined): readonly Record<string, unknown>[] {
  const spans: unknown = JSON.parse(post?.body.toString('utf8') ?? '[]');
  const records = Array.isArray(spans) ? spans.filter(isRecord) : [];
  expect(faultsOfSpans(records)).toEqual([]);
  return records;
}

describe('opentelemetry', () => {
  it('says of a route without paths that it has none', () => {
    const trace = { traceId: TRACE, parentSpanId: null, rootSpanId: CALLER, upstreamSpanId: CALLER, sampled: true };
    const [root] = requestSpans(exchangeOf(200).exchange, trace, []);
    expect(root?.attributes).toContainEqual(['http.route', '']);
  });

  it('tells the upstream of the span of the request, where attempts have none', () => {
    const trace = { traces_endpoint: 'http://collector.test/', logs_endpoint: null, sampling_rate: null };
    const propagation = { extract: ['w3c'], clear: null, inject: ['b3'], default_format: 'w3c' };
    const told = (instrumentations: readonly string[]) => {
      const spans: Buffer[] = [];
      const services = fakeServices({
        tracing: { instrumentations, samplingRate: 1 },
        deliveries: (_name, _options, describe) => ({
          push: (entry) => spans.push(Buffer.from(describe([entry]).body as Uint8Array)),
          close: () => undefined,
        }),
      });
      const config = { ...trace, queue: QUEUE, propagation } as unknown as OpentelemetryConfig;
      const hooks = openTelemetry.compile(config, EVERYWHERE, services);
      const { exchange } = exchangeOf(200, { headers: { traceparent: `00-${TRACE}-${CALLER}-01` } });
      hooks.access?.(exchange.request);
      hooks.log?.(exchange);
      const { headers } = exchange.request;
      const [root] = spans.flatMap((body) => spansOf({ path: '', headers: {}, body }));
      return { root: root?.id, told: headers.get('x-b3-spanid'), above: headers.get('x-b3-parentspanid') };
    };
    const request = told(['request']);
    expect(request).toEqual({ root: expect.any(String), told: request.root, above: CALLER });
    const attempt = told(['request', 'balancer']);
    expect(attempt.above).toBe(attempt.root);
    expect(attempt.told).not.toBe(attempt.root);
  });

  it('has nothing to log of a request that is not sampled, unless its log goes somewhere', () => {
    const asked = (flags: string, logs_endpoint: string | null) => {
      const services = fakeServices({ tracing: { instrumentations: ['all'], samplingRate: 1 } });
      const propagation = { extract: ['w3c'], clear: null, inject: null, default_format: 'w3c' };
      const config = { traces_endpoint: 'http://collector.test/', logs_endpoint, sampling_rate: null };
      const hooks = openTelemetry.compile(
        { ...config, queue: QUEUE, propagation } as unknown as OpentelemetryConfig,
        EVERYWHERE,
        services,
      );
      const { request } = exchangeOf(200, { headers: { traceparent: `00-${TRACE}-${CALLER}-${flags}` } }).exchange;
      // Ended before this plugin had its turn.
      const early = hooks.logs?.(request);
      hooks.access?.(request);
      return [early, hooks.logs?.(request)];
    };
    expect(asked('00', null)).toEqual([false, false]);
    expect(asked('01', null)).toEqual([false, true]);
    expect(asked('00', 'http://collector.test/')).toEqual([true, true]);
  });

  it('sends the spans of a request in one batch, and tells the upstream of the last one', async () => {
    const before = Date.now();
    const response = await get('/otel/x?q=1', { traceparent: `00-${TRACE}-${CALLER}-01` });
    const [post] = await arrived('/v1/traces?key=secret');
    if (post === undefined) throw new Error('no post');
    expect(post.headers).toMatchObject({ 'content-type': 'application/x-protobuf', 'x-key': 'v' });
    expect(post.headers.authorization).toBe(`Basic ${btoa('user:secret')}`);
    expect(scopeOf(post).resource).toMatchObject({
      'service.name': 'my-svc',
      'service.version': KONG_VERSION,
      'deployment.environment': 'test',
    });
    const spans = spansOf(post);
    const [root] = spans;
    expect(spans.map(({ name, kind }) => [name, kind])).toEqual([
      ['kong', 2],
      ['kong.router', 1],
      ['kong.access.plugin.pre-function', 1],
      ['kong.access.plugin.opentelemetry', 1],
      ['kong.header_filter.plugin.opentelemetry', 1],
      ['kong.balancer', 3],
    ]);
    expect(new Set(spans.map(({ trace }) => trace))).toEqual(new Set([TRACE]));
    expect(spans.map(({ parent }) => parent)).toEqual([CALLER, ...Array(5).fill(root?.id)]);
    expect(new Set(spans.map(({ id }) => id)).size).toBe(6);
    for (const { start, end } of spans) {
      expect(start).toBeGreaterThanOrEqual(before - 1000);
      expect(end).toBeGreaterThanOrEqual(start);
      expect(end).toBeLessThanOrEqual(Date.now() + 1000);
    }
    const host = new URL(gateway.url).host;
    expect(root?.attributes).toEqual({
      'http.method': 'GET',
      'http.url': `http://${host}/otel/x?q=1`,
      'http.host': '127.0.0.1',
      'http.scheme': 'http',
      'http.flavor': '1.1',
      'http.client_ip': expect.any(String),
      'net.peer.ip': expect.any(String),
      'http.route': '/otel',
      'http.status_code': { int: 200 },
      'kong.request.id': response.headers.get('x-kong-request-id'),
    });
    expect(spans.at(-1)?.attributes).toMatchObject({
      'net.peer.ip': '127.0.0.1',
      'net.peer.name': '127.0.0.1',
      try_count: { double: 1 },
    });
    expect(upstreamSaw[0]?.traceparent).toBe(`00-${TRACE}-${spans.at(-1)?.id}-01`);
    expect(response.headers.get('x-trace')).toBe(TRACE);
    // Not to be taken for the next request's.
    await arrived('/v1/logs');
  });

  it('sends what Lua wrote to the log', async () => {
    const response = await get('/otel/x', { traceparent: `00-${TRACE}-${CALLER}-01` });
    const [post] = await arrived('/v1/logs');
    await arrived('/v1/traces?key=secret');
    if (post === undefined) throw new Error('no post');
    const [record] = scopeOf(post).items;
    if (record === undefined) throw new Error('no record');
    expect(text(record, 3)).toBe('ERR');
    expect(record.get(2)).toEqual([17]);
    expect(text(nested(record, 5)[0] ?? new Map(), 1)).toContain('hi from lua');
    expect(attributes(record, 6)).toMatchObject({ 'request.id': response.headers.get('x-kong-request-id') });
    expect(bytes(record, 9)[0]?.toString('hex')).toBe(TRACE);
  });

  it('tells nobody of a trace where it sends the log alone', async () => {
    const { headers } = await get('/logged');
    expect(headers.get('x-trace')).toBeNull();
    expect(upstreamSaw).toHaveLength(1);
    expect(upstreamSaw[0]).not.toHaveProperty('traceparent');
    const [post] = await arrived('/v1/logs');
    expect(post?.body.toString('latin1')).toContain('alone');
    expect(posts).toHaveLength(1);
  });

  it('sends what Lua recorded beside the log', async () => {
    const response = await get('/otel/x', { traceparent: `00-${TRACE}-${CALLER}-01` });
    const [post] = await arrived('/v1/logs');
    await arrived('/v1/traces?key=secret');
    const [, done, silent, refused] = post === undefined ? [] : scopeOf(post).items;
    if (done === undefined || silent === undefined || refused === undefined) throw new Error('records are missing');
    const own = {
      'request.id': response.headers.get('x-kong-request-id'),
      'plugin.name': 'mine',
      'plugin.id': 'p5',
    };
    const given = { number: { double: 1.5 }, truth: true, list: ['a', 'b'], map: { key: 'v' } };
    expect(attributes(done, 6)).toEqual({ ...own, ...given, 'message.type': 'result' });
    expect(text(nested(done, 5)[0] ?? new Map(), 1)).toBe('it is done');
    expect([done.has(2), done.has(3), done.has(1), done.has(11)]).toEqual([false, false, true, true]);
    expect(bytes(done, 9)[0]?.toString('hex')).toBe(TRACE);
    expect(attributes(silent, 6)).toEqual({ ...own, 'message.type': 'silent' });
    expect(text(nested(silent, 5)[0] ?? new Map(), 1)).toBe('');
    expect(text(nested(refused, 5)[0] ?? new Map(), 1)).toContain(
      'plugin_config must be a table, message_type must be a string',
    );
  });

  it('sends nothing of a request that its caller did not want sampled', async () => {
    await get('/otel/x', { traceparent: `00-${TRACE}-${CALLER}-00` });
    await arrived('/v1/logs');
    expect(posts.map(({ path }) => path)).toEqual(['/v1/logs']);
    expect(upstreamSaw[0]?.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  });

  it('has a span for each attempt that failed', async () => {
    await get('/refused/x');
    const [post] = await arrived('/v1/traces?key=secret');
    const attempts = post === undefined ? [] : spansOf(post).filter(({ name }) => name === 'kong.balancer');
    expect(
      attempts.map(({ attributes: { try_count, 'http.status_code': status }, failed }) => [try_count, status, failed]),
    ).toEqual([
      [{ double: 1 }, { int: 502 }, true],
      [{ double: 2 }, { int: 502 }, true],
    ]);
  });

  it('has a span for the call of a model, with its tokens and what they cost, as zipkin has', async () => {
    posts.length = 0;
    const question = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }] });
    const headers = { 'content-type': 'application/json' };
    await (await fetch(`${gateway.url}/model`, { method: 'POST', headers, body: question })).arrayBuffer();
    const [post] = await arrived('/v1/traces?key=secret');
    const spans = post === undefined ? [] : spansOf(post);
    const [call] = spans.filter(({ name }) => name === 'kong.gen_ai');
    expect(call).toMatchObject({ kind: 3, parent: spans[0]?.id });
    expect(call?.attributes).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'azure.ai.openai',
      'gen_ai.request.model': 'm',
      'gen_ai.response.model': 'm-2',
      'gen_ai.usage.input_tokens': { int: 1000 },
      'gen_ai.usage.output_tokens': { int: 20 },
      'kong.gen_ai.cost': { double: 0.003 },
    });
    const [told] = spansIn((await arrived('/api/v2/spans'))[0]).filter(({ name }) => String(name).endsWith('(gen_ai)'));
    expect(told).toMatchObject({
      kind: 'CLIENT',
      remoteEndpoint: { serviceName: 'azure' },
      tags: { 'gen_ai.usage.output_tokens': '20', 'kong.gen_ai.cost': '0.003' },
    });
  });

  it('tries again when the collector is away, and does not show the log the endpoint’s secrets', async () => {
    failures = 2;
    await get('/otel/x', { traceparent: `00-${TRACE}-${CALLER}-01` });
    await arrived('/v1/traces?key=secret');
    await arrived('/v1/logs');
    await expect.poll(() => gateway.log.join('\n')).toContain('answered 503');
    expect(gateway.log.join('\n')).not.toContain('secret');
  });
});

it('has spans of a request that another plugin answered before, in the trace of its caller', async () => {
  const { status, headers } = await get('/barred', { traceparent: `00-${TRACE}-${CALLER}-01` });
  expect([status, headers.get('x-trace'), headers.get('x-zipkin')]).toEqual([403, TRACE, TRACE]);
  const [[traced], [zipped]] = await Promise.all([arrived('/v1/traces?key=secret'), arrived('/api/v2/spans')]);
  expect(upstreamSaw).toEqual([]);
  const [root, ...others] = traced === undefined ? [] : spansOf(traced);
  expect(root).toMatchObject({
    name: 'kong',
    trace: TRACE,
    parent: CALLER,
    attributes: { 'http.status_code': { int: 403 } },
  });
  expect(others.map(({ name }) => name)).not.toContain('kong.balancer');
  expect(spansIn(zipped)).toMatchObject([
    { traceId: TRACE, name: 'GET /barred (proxy)' },
    { traceId: TRACE, parentId: CALLER, tags: { 'http.status_code': '403' } },
  ]);
});

describe('zipkin', () => {
  it('shares the span of a caller that speaks B3, and has one for the request, its proxying and each attempt', async () => {
    await get('/zipkin/%C3%A4', {
      b3: `${TRACE}-${CALLER}-1`,
      'zipkin-tags': 'a=b; c = d ;; broken; __proto__=x',
    });
    const [post] = await arrived('/api/v2/spans');
    expect(post?.headers['content-type']).toBe('application/json');
    const [attempt, proxied, server] = spansIn(post);
    expect([attempt, proxied, server].map((span) => [span?.name, span?.kind])).toEqual([
      ['GET /zipkin/ä (balancer try 1)', 'CLIENT'],
      ['GET /zipkin/ä (proxy)', 'CLIENT'],
      ['GET /zipkin/ä', 'SERVER'],
    ]);
    expect(server).toMatchObject({ id: CALLER, traceId: TRACE, localEndpoint: { serviceName: 'kong' } });
    expect(server).not.toHaveProperty('parentId');
    expect(server?.tags).toEqual({
      st: '1',
      a: 'b',
      c: 'd',
      lc: 'kong',
      'http.method': 'GET',
      'http.host': '127.0.0.1',
      'http.path': '/zipkin/ä',
      'http.protocol': 'HTTP/1.1',
      'http.status_code': '200',
      'kong.node.id': expect.any(String),
    });
    expect(proxied).toMatchObject({
      parentId: CALLER,
      remoteEndpoint: { serviceName: 'backend', ipv4: '127.0.0.1' },
      tags: { 'peer.hostname': '127.0.0.1', 'kong.service_name': 'backend', 'kong.route_name': 'zipkin' },
    });
    expect(attempt).toMatchObject({ parentId: CALLER, tags: { 'kong.balancer.try': '1' } });
    for (const span of [attempt, proxied, server]) {
      expect(Number(span?.timestamp) % 1000).toBe(0);
      expect(Number(span?.duration)).toBeGreaterThanOrEqual(1);
    }
    expect(upstreamSaw[0]?.b3).toBe(`${TRACE}-${proxied?.id}-1-${CALLER}`);
  });

  it('has spans of no less than a microsecond, which is the least there is', () => {
    const trace = { traceId: TRACE, serverSpanId: CALLER, parentSpanId: null, proxySpanId: CALLER, sampled: true };
    const spans = compileZipkinSpans(ZIPKIN, 'node')(overAtOnce(fakeRequest()), trace);
    expect(spans.map(({ duration }) => duration)).toEqual([1, 1]);
    expect(faultsOfSpans(spans.map((span) => ({ ...span })))).toEqual([]);
  });

  it('tells times of phases as tags, names by the method alone, and no credential, where it is to', () => {
    const trace = { traceId: TRACE, serverSpanId: CALLER, parentSpanId: null, proxySpanId: CALLER, sampled: true };
    const own = { ...ZIPKIN, phase_duration_flavor: 'tags', http_span_name: 'method', tags_header: 'X-Own' } as const;
    const row = { id: 'c', username: 'ada' };
    const spansOf = (include_credential: boolean) => {
      const request = fakeRequest({ headers: { 'x-own': 'a=b', 'zipkin-tags': 'c=d' } });
      request.identity.authenticate({ ...row, custom_id: null, row }, { id: 'k', identifier: null });
      return compileZipkinSpans({ ...own, include_credential, local_service_name: 'mine' }, 'node')(
        overAtOnce(request),
        trace,
      );
    };
    const [proxied, server] = spansOf(false);
    expect([proxied?.name, server?.name]).toEqual(['GET (proxy)', 'GET']);
    expect([proxied, server].map((span) => span?.localEndpoint.serviceName)).toEqual(['mine', 'mine']);
    expect(proxied).not.toHaveProperty('annotations');
    expect(server).not.toHaveProperty('annotations');
    const phases = ['access', 'body_filter', 'header_filter'].map((phase) => `kong.${phase}.duration_ms`);
    expect(Object.keys(proxied?.tags ?? {}).toSorted()).toEqual(phases);
    expect(server?.tags).toMatchObject({ a: 'b', 'kong.consumer': 'c', 'kong.rewrite.duration_ms': '0' });
    expect(Object.keys(server?.tags ?? {})).not.toEqual(expect.arrayContaining(['c']));
    expect(Object.keys(server?.tags ?? {})).not.toEqual(expect.arrayContaining(['kong.credential']));
    expect(spansOf(true)[1]?.tags).toMatchObject({ 'kong.credential': 'k' });
  });

  it('takes tags of several lines, and none without a value', () => {
    const trace = { traceId: TRACE, serverSpanId: CALLER, parentSpanId: null, proxySpanId: CALLER, sampled: true };
    const [first, long] = ['foo=bar; baz = qux quux ;e=;=x; a b=c', `long= ${' '.repeat(1 << 20)};`];
    const headers = { 'zipkin-tags': [first, long, 'more= ; last=1, 2'] };
    const server = compileZipkinSpans(ZIPKIN, 'node')(overAtOnce(fakeRequest({ headers })), trace).at(-1);
    expect(server?.tags).toMatchObject({ foo: 'bar', baz: 'qux quux', last: '1, 2' });
    expect(Object.keys(server?.tags ?? {}).filter((tag) => /^(|[eb]|a b|long|more)$/.test(tag))).toEqual([]);
  });

  it('waits for its collector as long as it is to, and no longer', async () => {
    await get('/silent');
    await expect
      .poll(() => gateway.log.join('\n'), { message: 'a line about the collector', timeout: 60_000 })
      .toMatch(
        /queue zipkin \S+ [\da-f]+: 2 entries could not be sent and were dropped: .*(?:123 ms|within read_timeout)/,
      );
  });

  it('says of a request that went nowhere what it knows', async () => {
    await get('/nowhere');
    const [post] = await arrived('/api/v2/spans');
    const [proxied, server] = spansIn(post);
    expect(proxied).toMatchObject({ name: 'GET /nowhere (proxy)', remoteEndpoint: { serviceName: 'by-default' } });
    expect(proxied?.tags).toEqual({ 'kong.route': 'nowhere', 'kong.route_name': 'nowhere' });
    expect(server?.tags).toMatchObject({ 'http.status_code': '503' });
    const annotations = Array.isArray(proxied?.annotations) ? proxied.annotations.filter(isRecord) : [];
    expect(annotations.map(({ value }) => value)).toEqual(['kas', 'kaf', 'khs', 'khf', 'kbs', 'kbf']);
  });
});
