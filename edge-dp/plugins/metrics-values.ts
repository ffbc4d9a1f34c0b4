import { type Logged, requestSize, responseSize } from './log-entry.ts';
import type { AuthenticatedConsumer } from './runtime/identity.ts';

/** Metrics whose value is one number of a request or a session, by their name in config; -1: it has none. */
export const VALUES: Readonly<Record<string, { readonly stat: string; of(exchange: Logged): number }>> = {
  request_count: { stat: 'request.count', of: () => 1 },
  request_size: { stat: 'request.size', of: requestSize },
  response_size: { stat: 'response.size', of: responseSize },
  latency: { stat: 'latency', of: ({ latencies }) => ('session' in latencies ? latencies.session : latencies.request) },
  upstream_latency: {
    stat: 'upstream_latency',
    of: ({ latencies }) => ('proxy' in latencies ? latencies.proxy : -1),
  },
  kong_latency: { stat: 'kong_latency', of: ({ latencies }) => latencies.kong },
};

type ConsumerIdentifier = 'consumer_id' | 'custom_id' | 'username';

/** What a consumer is called; null: there is none, or it has none of the kind. */
export function consumerName(consumer: AuthenticatedConsumer | null, identifier: ConsumerIdentifier): string | null {
  if (consumer === null) return null;
  return identifier === 'consumer_id' ? consumer.id : consumer[identifier];
}
