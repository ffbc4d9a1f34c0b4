import type { OpentelemetryConfig } from '../../shared/plugins/opentelemetry.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { fingerprint } from './fingerprint.ts';
import { queueOptions } from './queue-options.ts';
import type { Exchange } from './runtime/exchange.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import type { Queue, QueueOptions, Services } from './runtime/services.ts';
import { slot } from './runtime/slot.ts';
import { shownUrl } from './shown-url.ts';
import { linesOf } from './tracing/log-lines.ts';
import { encodeLogs, encodeTraces, type LogRecord, type TracedSpan } from './tracing/otlp.ts';
import { compilePropagation, type Found } from './tracing/propagation.ts';
import { isTraced, type RequestTrace, requestSpans } from './tracing/request-spans.ts';
import { isSampled } from './tracing/sampling.ts';
import type { Attribute } from './tracing/span.ts';
import { tellUpstream } from './tracing/tell-upstream.ts';
import { type Incoming, randomId } from './tracing/trace-context.ts';

const traces = slot<RequestTrace>();

/** Sends traces and logs of requests by OTLP over HTTP, and tells upstreams of the trace. */
const opentelemetry: Plugin<OpentelemetryConfig> = {
  name: 'opentelemetry',
  version: KONG_VERSION,
  priority: 14,
  watches: true,
  compile(config, place, services) {
    const { traces_endpoint, logs_endpoint, http_response_header_for_traceid: traceHeader } = config;
    const propagation = compilePropagation(config);
    const resource = resourceOf(config, services);
    const queue = queueOptions(config, { plugin: 'opentelemetry', place }, services);
    const spans = outlet<TracedSpan>(traces_endpoint, config, { queue, resource, services }, encodeTraces);
    const records = outlet<LogRecord>(logs_endpoint, config, { queue, resource, services }, encodeLogs);
    const { instrumentations, samplingRate } = services.tracing;
    const sampling = { ofConfig: config.sampling_rate, ofNode: samplingRate };
    const recording = instrumentations.length > 0;
    const attempts = isTraced('balancer', instrumentations);
    function started(request: GatewayRequest): { readonly found: Found | null; readonly trace: RequestTrace } {
      const found = propagation.extract(request.headers);
      const trace = begin(found?.context ?? null, recording, sampling);
      traces.set(request, trace);
      return { found, trace };
    }

    /** Also of a request that no route was for, or that ended before this plugin had its turn; null: nothing is recorded of those. */
    function traceOf(request: GatewayRequest): RequestTrace | null {
      return traces.get(request) ?? (recording ? started(request).trace : null);
    }

    return {
      access(request) {
        // As in Kong: without anybody to send traces to, nobody is told of any.
        if (spans === null) return undefined;
        const { found, trace } = started(request);
        tellUpstream(request, propagation, found, {
          traceId: trace.traceId,
          // Where attempts have no spans, the upstream's parent is the request itself.
          spanId: attempts ? trace.upstreamSpanId : trace.rootSpanId,
          parentId: attempts ? trace.rootSpanId : trace.parentSpanId,
          sampled: trace.sampled,
        });
        return undefined;
      },
      response(request, reply) {
        const trace = traceHeader === null || spans === null ? null : traceOf(request);
        if (traceHeader !== null && trace !== null) reply.headers.append(traceHeader, trace.traceId.padStart(32, '0'));
        return undefined;
      },
      logs: (request) => records !== null || (spans !== null && traces.get(request)?.sampled === true),
      log(exchange) {
        const { request } = exchange;
        const trace = traceOf(request);
        if (spans !== null && trace?.sampled === true) {
          for (const span of requestSpans(exchange, trace, instrumentations)) {
            spans.push({ traceId: trace.traceId, span }, request);
          }
        }
        if (records !== null) for (const record of logRecords(exchange, trace)) records.push(record, request);
      },
      close() {
        spans?.close();
        records?.close();
      },
    };
  },
};

export default opentelemetry;

/** The client's trace, or one of its own. `ofConfig` decides over the client, but for one that was asked not to be seen. */
function begin(
  incoming: Incoming | null,
  recording: boolean,
  { ofConfig, ofNode }: { readonly ofConfig: number | null; readonly ofNode: number },
): RequestTrace {
  const traceId = incoming?.traceId ?? randomId(16);
  const asked = incoming?.sampled ?? null;
  const chosen = ofConfig === null ? (asked ?? isSampled(traceId, ofNode)) : isSampled(traceId, ofConfig);
  return {
    traceId,
    parentSpanId: incoming?.spanId ?? null,
    rootSpanId: randomId(8),
    upstreamSpanId: randomId(8),
    sampled: recording && asked !== false && chosen,
  };
}

function resourceOf({ resource_attributes }: OpentelemetryConfig, { node }: Services): readonly Attribute[] {
  const attributes = new Map<string, string>([
    ['service.name', 'kong'],
    ['service.instance.id', node.id],
    ['service.version', KONG_VERSION],
  ]);
  for (const [name, value] of Object.entries(resource_attributes ?? {})) attributes.set(name, value);
  return [...attributes];
}

interface Parts {
  readonly queue: QueueOptions;
  readonly resource: readonly Attribute[];
  readonly services: Services;
}

/** Null: there is no endpoint. */
function outlet<T>(
  endpoint: string | null,
  config: OpentelemetryConfig,
  { queue, resource, services }: Parts,
  encode: (resource: readonly Attribute[], batch: readonly T[]) => Uint8Array<ArrayBuffer>,
): Queue<T> | null {
  if (endpoint === null) return null;
  const { url, shown } = shownUrl(endpoint, 'endpoint');
  const { headers, resource_attributes } = config;
  const sent = { ...headers, 'Content-Type': 'application/x-protobuf' };
  const timeout = {
    connect: config.connect_timeout ?? 1000,
    write: config.send_timeout ?? 5000,
    read: config.read_timeout ?? 5000,
  };
  const key = fingerprint([url, sent, timeout, queue, resource_attributes]);
  const entries = services.deliveries<T>(`opentelemetry ${shown} ${key}`, queue, (batch) => ({
    url,
    shown,
    method: 'POST',
    headers: sent,
    body: encode(resource, batch),
    timeout,
  }));
  return {
    push: (entry, on) => entries.push(entry, on, queue.max_bytes === null ? 0 : encode([], [entry]).length),
    close: () => entries.close(),
  };
}

function logRecords({ request }: Exchange, trace: RequestTrace | null): readonly LogRecord[] {
  return linesOf(request)
    .filter(({ level }) => level !== 'debug')
    .map(({ attributes, ...line }) => ({
      ...line,
      attributes: [...idOf(request), ...attributes],
      trace: trace && inTrace(trace),
    }));
}

function idOf({ id }: GatewayRequest): readonly Attribute[] {
  return [['request.id', id]];
}

function inTrace({ traceId, rootSpanId, sampled }: RequestTrace): NonNullable<LogRecord['trace']> {
  return { traceId, spanId: rootSpanId, sampled };
}
