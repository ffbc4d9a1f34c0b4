import type { Dimension } from './series.ts';

/**
 * How data planes bring their telemetry, over mutual TLS:
 *
 *     GET  /v1/telemetry/challenge             `{challenge}`
 *     POST /v1/telemetry/session?node=<id>     `{nonce, proof}`: `{session}`, by which the node is known from then on
 *     POST /v1/metrics?node=<id>               OTLP/HTTP metrics, protobuf, gzip; `SESSION_HEADER`, `SENT_AT_HEADER`. 200 once they are kept,
 *                                              400 for what is none, 401 for a session that is not known, 429 and 503 for later
 */
export const TELEMETRY_PATHS = {
  challenge: '/v1/telemetry/challenge',
  session: '/v1/telemetry/session',
  metrics: '/v1/metrics',
} as const;

/** Of the sender's clock when it sends, in milliseconds since the epoch: clocks differ, and ages do not. */
export const SENT_AT_HEADER = 'holdfast-sent-at';

/**
 * What stands before the challenge in a proof for this port: one that was made here says nothing at the port of config, whoever
 * passes it on.
 */
export const TELEMETRY_CHALLENGE = 'telemetry ';

/** Bytes of one batch, as it travels and unpacked. */
export const LARGEST_BATCH = { packed: 2 << 20, unpacked: 8 << 20 } as const;

/** Milliseconds a batch is about. */
export const TELEMETRY_INTERVAL = 5_000;

/** Names of the metrics: those of Kong's prometheus plugin where it has them. Latencies are histograms of differences. */
export const METRIC_NAMES = {
  request: 'kong_request_latency_ms',
  upstream: 'kong_upstream_latency_ms',
  bounded: 'holdfast_telemetry_bounded',
  dropped: 'holdfast_telemetry_dropped',
} as const;

/** Names of attributes: of the resource, and of a data point. */
export const ATTRIBUTES = {
  node: 'service.instance.id',
  name: 'service.name',
  stream: 'holdfast.stream',
  number: 'holdfast.batch',
  dimension: 'dimension',
  service: 'service',
  code: 'code',
  source: 'source',
} as const;

/** What a data point's subject is called. */
export const SUBJECT_ATTRIBUTES: Readonly<Record<Dimension, string>> = {
  route: 'route',
  serial: 'serial',
  consumer: 'consumer',
};
