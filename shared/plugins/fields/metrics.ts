import type { EntityCheck } from '../../schema/vocabulary.ts';

/** What the plugins that send StatsD metrics say of each. */

/** The StatsD types; Datadog has one more. */
export const STAT_TYPES = ['counter', 'gauge', 'histogram', 'meter', 'set', 'timer'] as const;

/** What of a consumer, service or workspace stands in a metric's name or tags. */
export const CONSUMER_IDENTIFIERS = ['consumer_id', 'custom_id', 'username'] as const;
export const SERVICE_IDENTIFIERS = ['service_id', 'service_name', 'service_host', 'service_name_or_host'] as const;
export const WORKSPACE_IDENTIFIERS = ['workspace_id', 'workspace_name'] as const;

/** Counters and gauges may be sampled, so they must say at what rate. */
export const sampledChecks: readonly EntityCheck[] = [
  {
    conditional: {
      if_field: 'stat_type',
      if_match: { one_of: ['counter', 'gauge'] },
      then_field: 'sample_rate',
      then_match: { required: true },
    },
  },
];
