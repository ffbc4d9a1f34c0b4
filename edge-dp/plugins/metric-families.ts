/** The families of Kong's prometheus plugin, as it describes them. */
interface Family {
  readonly help: string;
  /** Upper bounds of a histogram, in milliseconds; null: a counter. */
  readonly bounds: readonly number[] | null;
}

const GATEWAY_BOUNDS = [1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000];
const UPSTREAM_BOUNDS = [25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000];

const MODEL_BOUNDS = [250, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000, 10000, 30000, 60000];

export const FAMILIES = {
  kong_ai_llm_cost_total: { help: 'AI requests cost per ai_provider/cache in Kong', bounds: null },
  kong_ai_llm_provider_latency_ms: {
    help: 'LLM response Latency for each AI plugins per ai_provider in Kong',
    bounds: MODEL_BOUNDS,
  },
  kong_ai_llm_requests_total: { help: 'AI requests total per ai_provider in Kong', bounds: null },
  // As Kong describes it.
  kong_ai_llm_tokens_total: { help: 'AI requests cost per ai_provider/cache in Kong', bounds: null },
  kong_bandwidth_bytes: { help: 'Total bandwidth (ingress/egress) throughput in bytes', bounds: null },
  kong_http_requests_total: { help: 'HTTP status codes per consumer/service/route in Kong', bounds: null },
  kong_kong_latency_ms: {
    help: 'Latency added by Kong and enabled plugins for each service/route in Kong',
    bounds: GATEWAY_BOUNDS,
  },
  kong_request_latency_ms: {
    help: 'Total latency incurred during requests for each service/route in Kong',
    bounds: UPSTREAM_BOUNDS,
  },
  kong_session_duration_ms: {
    help: 'latency incurred in stream session for each service/route in Kong',
    bounds: UPSTREAM_BOUNDS,
  },
  kong_stream_sessions_total: { help: 'Stream status codes per service/route in Kong', bounds: null },
  kong_upstream_latency_ms: {
    help: 'Latency added by upstream response for each service/route in Kong',
    bounds: UPSTREAM_BOUNDS,
  },
} as const satisfies Readonly<Record<string, Family>>;
