import { parseIp } from '../../../shared/atc/ip.ts';
import { modelCalls } from '../llm/analytics.ts';
import type { Exchange, NameLookup, Try } from '../runtime/exchange.ts';
import { matchedPath } from './matched-path.ts';
import { modelAttributes } from './model-attributes.ts';
import { pluginTimes } from './plugin-times.ts';
import type { Attribute, Span } from './span.ts';
import { randomId } from './trace-context.ts';

/** The trace a request belongs to, and the ids of its own spans in it. */
export interface RequestTrace {
  readonly traceId: string;
  /** The caller's span; null: the trace begins here. */
  readonly parentSpanId: string | null;
  readonly rootSpanId: string;
  /** What the upstream was told; that of the last attempt. */
  readonly upstreamSpanId: string;
  readonly sampled: boolean;
}

/** Whether a step becomes a span (`tracing_instrumentations`). */
export function isTraced(step: string, instrumentations: readonly string[]): boolean {
  return instrumentations.includes('all') || instrumentations.includes(step);
}

/** The spans of a request as Kong's tracer makes them: the request, the router, each plugin's phases, each attempt; and one of each call of a model. */
export function requestSpans(
  exchange: Exchange,
  { rootSpanId, parentSpanId, upstreamSpanId }: RequestTrace,
  instrumentations: readonly string[],
): readonly Span[] {
  const { request, endedAt, tries, lookup } = exchange;
  const wants = (name: string): boolean => isTraced(name, instrumentations);
  const spans: Span[] = [
    {
      id: rootSpanId,
      parentId: parentSpanId,
      name: 'kong',
      kind: 'server',
      start: request.startedAt,
      end: endedAt,
      attributes: rootAttributes(exchange),
      failed: false,
    },
  ];
  const inside = (name: string, start: number, end: number): Span => ({
    id: randomId(8),
    parentId: rootSpanId,
    name,
    kind: 'internal',
    start,
    end,
    attributes: [],
    failed: false,
  });
  // Workers have no clock that runs while they compute.
  if (wants('router')) spans.push(inside('kong.router', request.startedAt, request.startedAt));
  for (const { phase, plugin, start, end } of pluginTimes(request)) {
    spans.push(inside(`kong.${phase}.plugin.${plugin}`, start, end));
  }
  for (const call of modelCalls(request)) {
    const { start, end } = call;
    spans.push({ ...inside('kong.gen_ai', start, end), kind: 'client', attributes: modelAttributes(call) });
  }
  if (wants('dns_query') && lookup !== null)
    spans.push({ ...inside('kong.dns', lookup.start, lookup.end), ...found(lookup) });
  if (wants('balancer')) {
    tries.forEach((attempt, place) => {
      const last = place === tries.length - 1;
      spans.push({
        id: last ? upstreamSpanId : randomId(8),
        parentId: rootSpanId,
        name: 'kong.balancer',
        kind: 'client',
        start: attempt.startedAt,
        end: tries[place + 1]?.startedAt ?? endOfLast(exchange),
        attributes: tryAttributes(exchange, attempt, place + 1),
        failed: attempt.failedAs !== null,
      });
    });
  }
  return spans;
}

/** What the span of a name says of where it leads. */
function found({ name, port, ip, problem }: NameLookup): Pick<Span, 'kind' | 'attributes' | 'failed' | 'problem'> {
  return {
    kind: 'client',
    attributes: [
      ['dns.record.domain', name],
      ['dns.record.port', { double: port }],
      ...(ip === null ? [] : [['dns.record.ip', ip.replace(/^\[|\]$/g, '')] as const]),
    ],
    failed: problem !== null,
    ...(problem !== null && { problem }),
  };
}

/** When the head of the answer was there. */
export function endOfLast({ endedAt, latencies }: Exchange): number {
  return endedAt - latencies.receive;
}

function rootAttributes({ request, reply, aborted, clientLeft }: Exchange): readonly Attribute[] {
  const { incoming, client, scheme, rawTarget, id } = request;
  const host = incoming.headers.get('host') ?? '';
  const unanswered = aborted && clientLeft && reply.status === CLIENT_LEFT;
  return [
    ['http.method', incoming.method],
    ['http.url', `${scheme}://${host}${rawTarget}`],
    ['http.host', host.replace(/:\d+$/, '')],
    ['http.scheme', scheme],
    ['http.flavor', incoming.version],
    ['http.client_ip', client.ip],
    ['net.peer.ip', client.peerIp],
    ['kong.request.id', id],
    ...(unanswered ? [] : [['http.route', matchedPath(request) ?? ''] as const]),
    ...(unanswered ? [] : [['http.status_code', { int: reply.status }] as const]),
  ];
}

const CLIENT_LEFT = 499;

function tryAttributes({ request }: Exchange, { host, port, failedAs }: Try, count: number): readonly Attribute[] {
  const name = request.service?.row.host;
  return [
    ...(parseIp(host) !== null ? [['net.peer.ip', host] as const] : []),
    ['net.peer.port', { double: port }],
    ['net.peer.name', typeof name === 'string' ? name : host],
    ['try_count', { double: count }],
    ...(failedAs === null ? [] : [['http.status_code', { int: failedAs }] as const]),
  ];
}
