import { BUCKETS, bucketOf, type Dimension, MOST_SERIES, OTHER } from '../../shared/telemetry/series.ts';
import { TELEMETRY } from '../durable/state-messages.ts';
import { type Logged, loggedStatus, sourceOf } from '../plugins/log-entry.ts';
import type { AskState } from '../plugins/services/node-state.ts';
import { type Lender, NodeSums } from '../plugins/services/node-sums.ts';
import type { Queues } from '../plugins/services/queues.ts';
import { SERIES_NUMBERS, seriesText } from './series-text.ts';

/** Counts requests for the control planes, in memory: what is sent, and to whom, is the business of the node's keeper. */
export class TelemetryRecorder {
  readonly #sums: NodeSums;

  /** Without a node there is nobody to send it. */
  constructor(ask: AskState | null, queues: Queues, colo: () => string | null) {
    this.#sums = new NodeSums(ask, queues, { colo, keeper: TELEMETRY, queue: TELEMETRY });
  }

  /** A request, or a session, that is over; `serial` is that of the config that served it, null where no control plane gave it. */
  record(exchange: Logged, serial: number | null): void {
    const isStream = 'session' in exchange;
    const { route, service, identity } = exchange.request;
    const on: Lender = isStream ? exchange.session : exchange.request;
    const digit = Math.floor(loggedStatus(exchange) / 100);
    const status = digit >= 1 && digit <= 5 ? digit : 5;
    // What an upstream was reached for is its; a session has no other answer.
    const source = (isStream ? exchange.tries.length > 0 : sourceOf(exchange) === 'upstream') ? 'service' : 'kong';
    // A session may last for days: of it, the time until it had its upstream.
    const request = isStream ? exchange.latencies.kong : exchange.latencies.request;
    const upstream = isStream ? -1 : exchange.latencies.proxy;
    const observe = (dimension: Dimension, subject: string, ofService = ''): void =>
      this.#observe(dimension, seriesText({ subject, service: ofService, status, source }), { request, upstream, on });
    observe('route', route?.id ?? '', service?.id ?? '');
    observe('serial', serial === null ? '' : String(serial));
    const consumer = identity.consumer?.id ?? '';
    const full = !this.#sums.hasRoom(
      'consumer',
      seriesText({ subject: consumer, service: '', status, source }),
      MOST_SERIES.consumer,
    );
    observe('consumer', full ? OTHER : consumer);
  }

  #observe(
    dimension: Dimension,
    series: string,
    { request, upstream, on }: { readonly request: number; readonly upstream: number; readonly on: Lender },
  ): void {
    const numbers = this.#sums.of(dimension, series, SERIES_NUMBERS, on);
    // A clock that was set back in between.
    put(numbers, 0, Math.max(0, request));
    if (upstream >= 0) put(numbers, BUCKETS + 1, upstream);
  }
}

function put(numbers: number[], from: number, milliseconds: number): void {
  const bucket = from + bucketOf(milliseconds);
  numbers[bucket] = (numbers[bucket] ?? 0) + 1;
  numbers[from + BUCKETS] = (numbers[from + BUCKETS] ?? 0) + milliseconds;
}
