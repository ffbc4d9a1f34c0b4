import { parseIp } from '../../../shared/atc/ip.ts';
import { normalizePath } from '../../../shared/normalize-path.ts';
import type { ZipkinConfig } from '../../../shared/plugins/zipkin.ts';
import { type HeaderFields, linesOf } from '../../http/fields.ts';
import { modelCalls } from '../llm/analytics.ts';
import type { Logged } from '../log-entry.ts';
import type { Exchange, Try } from '../runtime/exchange.ts';
import type { StreamExchange } from '../runtime/stream.ts';
import { modelAttributes } from './model-attributes.ts';
import { endOfLast } from './request-spans.ts';
import type { AttributeValue } from './span.ts';
import { randomId } from './trace-context.ts';

/** The trace of a request, and the ids of its spans that others know. */
export interface ZipkinTrace {
  readonly traceId: string;
  /** The caller's own with formats that share it. */
  readonly serverSpanId: string;
  readonly parentSpanId: string | null;
  /** What the upstream was told. */
  readonly proxySpanId: string;
  readonly sampled: boolean;
}

/** `Span` of Zipkin's API v2. Times in microseconds. */
export interface ZipkinSpan {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly name: string;
  readonly kind: 'SERVER' | 'CLIENT';
  readonly timestamp: number;
  readonly duration: number;
  readonly localEndpoint: { readonly serviceName: string };
  readonly remoteEndpoint: Endpoint;
  readonly tags: Readonly<Record<string, string>>;
  readonly annotations?: readonly { readonly timestamp: number; readonly value: string }[];
}

interface Endpoint {
  readonly serviceName?: string;
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly port?: number;
}

type Config = Pick<
  ZipkinConfig,
  | 'local_service_name'
  | 'default_service_name'
  | 'include_credential'
  | 'http_span_name'
  | 'phase_duration_flavor'
  | 'static_tags'
  | 'tags_header'
>;

/** Makes Kong's spans of a request that is over: one of the request, one of what was done with it, one of each attempt. */
export function compileZipkinSpans(
  config: Config,
  nodeId: string,
): (exchange: Exchange, trace: ZipkinTrace) => readonly ZipkinSpan[] {
  const localEndpoint = { serviceName: config.local_service_name };
  const staticTags = Object.fromEntries((config.static_tags ?? []).map(({ name, value }) => [name, value]));
  const asTags = config.phase_duration_flavor === 'tags';

  return (exchange, trace) => {
    const { request, tries } = exchange;
    const name =
      config.http_span_name === 'method_path'
        ? `${request.incoming.method} ${normalizePath(request.rawPath)}`
        : request.incoming.method;
    const ofTrace = { traceId: trace.traceId, localEndpoint };
    const { accessEnd, headAt, end } = momentsOf(exchange);
    const routed = routeTags(exchange);
    const upstream = upstreamEndpoint(exchange, config.default_service_name);
    const spans: ZipkinSpan[] = tries.map((attempt, place) => ({
      ...ofTrace,
      id: randomId(8),
      parentId: trace.serverSpanId,
      name: `${name} (balancer try ${place + 1})`,
      kind: 'CLIENT',
      ...during(attempt.startedAt, tries[place + 1]?.startedAt ?? endOfLast(exchange)),
      remoteEndpoint: { ...serviceOf(exchange, config.default_service_name), ...addressOf(attempt) },
      tags: { ...routed, ...tryTags(attempt, place + 1) },
    }));
    for (const call of modelCalls(request)) {
      spans.push({
        ...ofTrace,
        id: randomId(8),
        parentId: trace.serverSpanId,
        name: `${name} (gen_ai)`,
        kind: 'CLIENT',
        ...during(call.start, call.end),
        remoteEndpoint: { serviceName: call.provider },
        tags: Object.fromEntries(modelAttributes(call).map(([tag, value]) => [tag, textOf(value)])),
      });
    }
    const [first] = tries;
    const service = request.service?.row.host;
    spans.push({
      ...ofTrace,
      id: trace.proxySpanId,
      parentId: trace.serverSpanId,
      name: `${name} (proxy)`,
      kind: 'CLIENT',
      ...during(request.startedAt, end),
      remoteEndpoint: upstream,
      tags: {
        ...routed,
        ...(first !== undefined && { 'peer.hostname': typeof service === 'string' ? service : first.host }),
        ...(asTags && {
          'kong.access.duration_ms': String(accessEnd - request.startedAt),
          'kong.header_filter.duration_ms': '0',
          'kong.body_filter.duration_ms': String(end - headAt),
        }),
      },
      ...(!asTags && {
        annotations: [
          at('kas', request.startedAt),
          at('kaf', accessEnd),
          at('khs', headAt),
          at('khf', headAt),
          at('kbs', headAt),
          at('kbf', end),
        ],
      }),
    });
    spans.push({
      ...ofTrace,
      id: trace.serverSpanId,
      ...(trace.parentSpanId !== null && { parentId: trace.parentSpanId }),
      name,
      kind: 'SERVER',
      ...during(request.startedAt, end),
      remoteEndpoint: clientEndpoint(exchange, config.default_service_name),
      tags: {
        ...staticTags,
        ...requestedTags(request.incoming.headers, config.tags_header),
        ...serverTags(exchange, nodeId, config.include_credential),
        ...(asTags && { 'kong.rewrite.duration_ms': '0' }),
      },
      ...(!asTags && { annotations: [at('krs', request.startedAt), at('krf', request.startedAt)] }),
    });
    return spans;
  };
}

/** The same of a session that is no HTTP: nobody tells of its trace, so it has one of its own. */
export function compileZipkinSessionSpans(
  config: Pick<Config, 'local_service_name' | 'default_service_name' | 'phase_duration_flavor' | 'static_tags'>,
  nodeId: string,
): (exchange: StreamExchange, traceId: string) => readonly ZipkinSpan[] {
  const localEndpoint = { serviceName: config.local_service_name };
  const tags = {
    ...Object.fromEntries((config.static_tags ?? []).map(({ name, value }) => [name, value])),
    lc: 'kong',
    'kong.node.id': nodeId,
  };
  const asTags = config.phase_duration_flavor === 'tags';

  return (exchange, traceId) => {
    const { session, tries, latencies } = exchange;
    const { startedAt } = session;
    const [end, begun] = [startedAt + latencies.session, startedAt + latencies.kong];
    const read = tries[0]?.startedAt ?? begun;
    const serverSpanId = randomId(8);
    const routed = routeTags(exchange);
    const ofTrace = { traceId, localEndpoint, parentId: serverSpanId, kind: 'CLIENT' } as const;
    const host = session.service?.row.host;
    return [
      ...tries.map((attempt, place) => ({
        ...ofTrace,
        id: randomId(8),
        name: `stream (balancer try ${place + 1})`,
        ...during(attempt.startedAt, tries[place + 1]?.startedAt ?? Math.max(begun, attempt.startedAt)),
        remoteEndpoint: { ...serviceOf(exchange, config.default_service_name), ...addressOf(attempt) },
        tags: { ...routed, ...tryTags(attempt, place + 1) },
      })),
      {
        ...ofTrace,
        id: randomId(8),
        name: 'stream (proxy)',
        ...during(startedAt, end),
        remoteEndpoint: upstreamEndpoint(exchange, config.default_service_name),
        tags: {
          ...routed,
          ...(tries[0] !== undefined && { 'peer.hostname': typeof host === 'string' ? host : tries[0].host }),
          ...(asTags && { 'kong.preread.duration_ms': String(read - startedAt) }),
        },
        ...(!asTags && { annotations: [at('kps', startedAt), at('kpf', read)] }),
      },
      {
        traceId,
        localEndpoint,
        id: serverSpanId,
        name: 'stream',
        kind: 'SERVER',
        ...during(startedAt, end),
        remoteEndpoint: clientEndpoint(exchange, config.default_service_name),
        tags,
      },
    ];
  };
}

function textOf(value: AttributeValue): string {
  return typeof value === 'string' ? value : String('int' in value ? value.int : value.double);
}

/** Milliseconds since the epoch: when the request was sent on or answered, when the head of the answer was there, and the end. */
function momentsOf(exchange: Exchange): { readonly accessEnd: number; readonly headAt: number; readonly end: number } {
  const { tries, endedAt } = exchange;
  const headAt = endOfLast(exchange);
  return { accessEnd: tries[0]?.startedAt ?? headAt, headAt, end: endedAt };
}

/** A duration is 1 at least, as Zipkin's API has it. */
function during(start: number, end: number): Pick<ZipkinSpan, 'timestamp' | 'duration'> {
  return { timestamp: start * 1000, duration: Math.max((end - start) * 1000, 1) };
}

function at(value: string, moment: number): { readonly timestamp: number; readonly value: string } {
  return { timestamp: moment * 1000, value };
}

function routeTags({ request: { route, service } }: Logged): Readonly<Record<string, string>> {
  return {
    ...(service !== null && { 'kong.service': service.id }),
    ...(service?.name != null && { 'kong.service_name': service.name }),
    ...(route !== null && { 'kong.route': route.id }),
    ...(route?.name != null && { 'kong.route_name': route.name }),
  };
}

function tryTags({ failedAs }: Try, count: number): Readonly<Record<string, string>> {
  return {
    'kong.balancer.try': String(count),
    ...(failedAs !== null && {
      error: 'true',
      'kong.balancer.state': 'failed',
      'http.status_code': String(failedAs),
    }),
  };
}

function serverTags(
  { request, reply }: Exchange,
  nodeId: string,
  withCredential: boolean,
): Readonly<Record<string, string>> {
  const { incoming, rawPath, identity } = request;
  const { consumer, credential } = identity;
  return {
    lc: 'kong',
    'http.method': incoming.method,
    'http.host': (incoming.headers.get('host') ?? '').replace(/:\d+$/, ''),
    'http.path': normalizePath(rawPath),
    'http.protocol': `HTTP/${incoming.version}`,
    'http.status_code': String(reply.status),
    'kong.node.id': nodeId,
    ...(withCredential && credential?.id != null && { 'kong.credential': credential.id }),
    ...(consumer !== null && { 'kong.consumer': consumer.id }),
  };
}

/** `a=b; c=d` of the header that clients may add tags by, in one line or several. */
function requestedTags(headers: HeaderFields, header: string): Readonly<Record<string, string>> {
  const tags: Record<string, string> = {};
  // Where the host has joined lines, the next one begins with a tag.
  const lines =
    headers.eachLine === undefined ? headers.get(header)?.split(/, (?=[^=;\s]+\s*=)/) : linesOf(headers, header);
  for (const part of (lines ?? []).flatMap((line) => line.split(';'))) {
    const equals = part.indexOf('=');
    const [name, value] = [part.slice(0, Math.max(equals, 0)).trim(), part.slice(equals + 1).trim()];
    if (name !== '' && !/\s/.test(name) && value !== '' && name !== '__proto__') tags[name] = value;
  }
  return tags;
}

function serviceOf({ request: { service } }: Logged, byDefault: string | null): Endpoint {
  const serviceName = service?.name ?? byDefault;
  return serviceName === null ? {} : { serviceName };
}

/** Where it went in the end; without an attempt, the service's port alone. */
function upstreamEndpoint(exchange: Logged, byDefault: string | null): Endpoint {
  const last = exchange.tries.at(-1);
  const port = exchange.request.service?.row.port;
  return {
    ...serviceOf(exchange, byDefault),
    ...(last === undefined ? typeof port === 'number' && { port } : addressOf(last)),
  };
}

function clientEndpoint({ request: { client } }: Logged, byDefault: string | null): Endpoint {
  return {
    ...(byDefault !== null && { serviceName: byDefault }),
    ...ipOf(client.ip),
    ...(client.port !== null && { port: client.port }),
  };
}

function addressOf({ host, port }: Try): Endpoint {
  return { ...ipOf(host), port };
}

function ipOf(address: string): Endpoint {
  const ip = parseIp(address);
  if (ip === null) return {};
  return ip.family === 4 ? { ipv4: address } : { ipv6: address };
}
