import { escaped } from '../../shared/metrics-text.ts';
import type { PrometheusConfig } from '../../shared/plugins/prometheus.ts';
import { isRecord, recordOrEmpty } from '../../shared/record.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { type Logged, logEntry, loggedStatus, requestSize, responseSize, sourceOf } from './log-entry.ts';
import { FAMILIES } from './metric-families.ts';
import type { Exchange } from './runtime/exchange.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { Metrics } from './runtime/services.ts';

/** Counts requests for Prometheus, which reads them at `/metrics` of the Status API. */
const prometheus: Plugin<PrometheusConfig> = {
  name: 'prometheus',
  version: KONG_VERSION,
  priority: 13,
  watches: true,
  compile(config, _place, { metrics }) {
    const shown = [metrics.show('counts'), ...(config.upstream_health_metrics ? [metrics.show('upstreamHealth')] : [])];
    const close = {
      close() {
        for (const hide of shown) hide();
      },
    };
    const { status_code_metrics, latency_metrics, bandwidth_metrics, ai_metrics } = config;
    if (!status_code_metrics && !latency_metrics && !bandwidth_metrics && !ai_metrics) return close;
    return {
      ...close,
      log(exchange) {
        const { request, latencies } = exchange;
        // What no route was found for belongs to nobody.
        if (request.route === null) return;
        const target = `service="${serviceOf(exchange)}",route="${escaped(request.route.name ?? request.route.id)}"`;
        const workspace = `workspace="${escaped(exchange.workspaceName ?? '')}"`;
        const who = `${workspace},consumer="${config.per_consumer ? consumerOf(exchange) : ''}"`;
        if (ai_metrics) countModels(exchange, workspace, metrics);
        if (status_code_metrics) {
          const source = sourceOf(exchange) === 'upstream' ? 'service' : 'kong';
          const labels = `${target},code="${loggedStatus(exchange)}",source="${source}",${who}`;
          metrics.count('kong_http_requests_total', labels, 1, request);
        }
        if (bandwidth_metrics) {
          const bytes = (direction: string, amount: number) =>
            metrics.count('kong_bandwidth_bytes', `${target},direction="${direction}",${who}`, amount, request);
          bytes('ingress', requestSize(exchange));
          bytes('egress', responseSize(exchange));
        }
        if (latency_metrics) {
          const labels = `${target},${workspace}`;
          took(metrics, 'kong_kong_latency_ms', labels, latencies.kong, request);
          took(metrics, 'kong_request_latency_ms', labels, latencies.request, request);
          took(metrics, 'kong_upstream_latency_ms', labels, latencies.proxy, request);
        }
      },
      logStream(exchange) {
        const { session, latencies, status } = exchange;
        const target = `service="${serviceOf(exchange)}",route="${escaped(session.route.name ?? session.route.id)}"`;
        const workspace = `workspace="${escaped(exchange.workspaceName ?? '')}"`;
        if (status_code_metrics) {
          // By who decided: 403 and the like are the gateway's, what the upstreams did not do is theirs.
          const source = exchange.tries.length > 0 ? 'service' : 'kong';
          const labels = `${target},code="${status}",source="${source}",${workspace}`;
          metrics.count('kong_stream_sessions_total', labels, 1, session);
        }
        if (bandwidth_metrics) {
          const bytes = (direction: string, amount: number) =>
            metrics.count('kong_bandwidth_bytes', `${target},direction="${direction}",${workspace}`, amount, session);
          bytes('ingress', exchange.received);
          bytes('egress', exchange.sent);
        }
        if (latency_metrics) {
          took(metrics, 'kong_kong_latency_ms', `${target},${workspace}`, latencies.kong, session);
          took(metrics, 'kong_session_duration_ms', `${target},${workspace}`, latencies.session, session);
        }
      },
    };
  },
};

export default prometheus;

function took(
  metrics: Metrics,
  family: keyof typeof FAMILIES,
  labels: string,
  value: number,
  on: Parameters<Metrics['observe']>[4],
): void {
  const { bounds } = FAMILIES[family];
  if (bounds !== null && value >= 0) metrics.observe(family, bounds, labels, value, on);
}

function serviceOf({ request: { service } }: Logged): string {
  return service === null ? '' : escaped(service.name ?? String(service.row.host ?? ''));
}

function consumerOf({ request: { identity } }: Exchange): string {
  return escaped(identity.consumer?.username ?? '');
}

/** Exchanges with models, as the AI plugins tell of them in the log entry. */
function countModels(exchange: Exchange, workspace: string, metrics: Metrics): void {
  const { request } = exchange;
  const { ai } = logEntry(exchange);
  for (const told of isRecord(ai) ? Object.values(ai) : []) {
    const { meta, usage } = recordOrEmpty(told);
    if (!isRecord(meta)) continue;
    const { prompt_tokens, completion_tokens, total_tokens, cost } = recordOrEmpty(usage);
    const model = `ai_provider="${escaped(String(meta.provider_name ?? ''))}",ai_model="${escaped(String(meta.request_model ?? ''))}"`;
    // What Kong's own cache for answers of models would fill in.
    const labels = `${model},cache_status="",vector_db="",embeddings_provider="",embeddings_model=""`;
    metrics.count('kong_ai_llm_requests_total', `${labels},${workspace}`, 1, request);
    if (positive(cost)) metrics.count('kong_ai_llm_cost_total', `${labels},${workspace}`, cost, request);
    for (const [type, tokens] of Object.entries({ prompt_tokens, completion_tokens, total_tokens })) {
      const own = `${labels},token_type="${type}",${workspace}`;
      if (positive(tokens)) metrics.count('kong_ai_llm_tokens_total', own, tokens, request);
    }
    const { bounds } = FAMILIES.kong_ai_llm_provider_latency_ms;
    if (typeof meta.llm_latency === 'number' && meta.llm_latency >= 0) {
      metrics.observe('kong_ai_llm_provider_latency_ms', bounds, `${labels},${workspace}`, meta.llm_latency, request);
    }
  }
}

function positive(value: unknown): value is number {
  return typeof value === 'number' && value > 0;
}
