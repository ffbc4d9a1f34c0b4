import type { ZipkinConfig } from '../../shared/plugins/zipkin.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { fingerprint } from './fingerprint.ts';
import type { Logged } from './log-entry.ts';
import { bytesOf, queueOptions } from './queue-options.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import { slot } from './runtime/slot.ts';
import { shownUrl } from './shown-url.ts';
import { compilePropagation, type Found } from './tracing/propagation.ts';
import { isSampled } from './tracing/sampling.ts';
import { tellUpstream } from './tracing/tell-upstream.ts';
import { randomId } from './tracing/trace-context.ts';
import {
  compileZipkinSessionSpans,
  compileZipkinSpans,
  type ZipkinSpan,
  type ZipkinTrace,
} from './tracing/zipkin-spans.ts';

const traces = slot<ZipkinTrace>();

/** Sends traces to a Zipkin server (API v2), and tells upstreams of them. */
const zipkin: Plugin<ZipkinConfig> = {
  name: 'zipkin',
  version: KONG_VERSION,
  priority: 100000,
  watches: true,
  compile(config, place, services) {
    const { http_endpoint, http_response_header_for_traceid: traceHeader, sample_ratio, traceid_byte_count } = config;
    const propagation = compilePropagation(config);
    const describe = compileZipkinSpans(config, services.node.id);
    const describeSession = compileZipkinSessionSpans(config, services.node.id);
    const traceBytes = traceid_byte_count === 8 ? 8 : 16;
    const spans = http_endpoint === null ? null : outlet(http_endpoint);

    function outlet(endpoint: string) {
      const { url, shown } = shownUrl(endpoint, 'http_endpoint');
      const queue = queueOptions(config, { plugin: 'zipkin', place }, services);
      const timeout = {
        connect: config.connect_timeout ?? 2000,
        write: config.send_timeout ?? 5000,
        read: config.read_timeout ?? 5000,
      };
      const key = fingerprint([url, timeout, queue]);
      const headers = { 'Content-Type': 'application/json' };
      // As the text it is sent as, which is how much of it waits.
      const texts = services.deliveries<string>(`zipkin ${shown} ${key}`, queue, (batch) => ({
        url,
        shown,
        method: 'POST',
        headers,
        body: `[${batch.join(',')}]`,
        timeout,
      }));
      return {
        push(span: ZipkinSpan, request: Logged['request']): void {
          const text = JSON.stringify(span);
          texts.push(text, request, queue.max_bytes === null ? 0 : bytesOf([text]));
        },
        close: () => texts.close(),
      };
    }

    function started(request: GatewayRequest): { readonly found: Found | null; readonly trace: ZipkinTrace } {
      const found = propagation.extract(request.headers);
      const trace = begin(found, traceBytes, sample_ratio ?? 0);
      traces.set(request, trace);
      return { found, trace };
    }

    /** Also of a request that no route was for, or that ended before this plugin had its turn. */
    function traceOf(request: GatewayRequest): ZipkinTrace {
      return traces.get(request) ?? started(request).trace;
    }

    return {
      access(request) {
        const { found, trace } = started(request);
        tellUpstream(request, propagation, found, {
          traceId: trace.traceId,
          spanId: trace.proxySpanId,
          parentId: trace.serverSpanId,
          sampled: trace.sampled,
        });
        return undefined;
      },
      response(request, reply) {
        if (traceHeader !== null) reply.headers.append(traceHeader, traceOf(request).traceId);
        return undefined;
      },
      logs: (request) => spans !== null && traceOf(request).sampled,
      log(exchange) {
        if (spans === null) return;
        const trace = traceOf(exchange.request);
        if (!trace.sampled) return;
        for (const span of describe(exchange, trace)) spans.push(span, exchange.request);
      },
      logStream(exchange) {
        if (spans === null) return;
        const traceId = randomId(traceBytes);
        if (!isSampled(traceId, sample_ratio ?? 0)) return;
        for (const span of describeSession(exchange, traceId)) spans.push(span, exchange.request);
      },
      close() {
        spans?.close();
      },
    };
  },
};

export default zipkin;

/** Formats whose callers count on their own span being ours too. */
const SHARING = new Set(['b3', 'b3-single', 'jaeger']);

function begin(found: Found | null, bytes: 8 | 16, ratio: number): ZipkinTrace {
  const context = found?.context;
  const traceId = context?.traceId ?? randomId(bytes);
  const caller = context?.spanId ?? null;
  const shared = found !== null && caller !== null && SHARING.has(found.format);
  return {
    traceId,
    serverSpanId: shared ? caller : randomId(8),
    parentSpanId: shared ? (context?.parentId ?? null) : caller,
    proxySpanId: randomId(8),
    sampled: context?.sampled ?? isSampled(traceId, ratio),
  };
}
