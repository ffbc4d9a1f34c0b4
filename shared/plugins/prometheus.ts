import { protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Counts requests for Prometheus. */
export const prometheus = definePlugin({
  name: 'prometheus',
  version: KONG_VERSION,
  priority: 13,
  phases: ['init_worker', 'configure', 'log'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      custom_validator: () => undefined,
      fields: {
        per_consumer: { type: 'boolean', default: false },
        status_code_metrics: { type: 'boolean', default: false },
        ai_metrics: { type: 'boolean', default: false },
        latency_metrics: { type: 'boolean', default: false },
        bandwidth_metrics: { type: 'boolean', default: false },
        upstream_health_metrics: { type: 'boolean', default: false },
      },
    },
  },
});

export type PrometheusConfig = Entity<typeof prometheus>['config'];
