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
        per_consumer: {
          type: 'boolean',
          default: false,
          description: 'Counts requests and bytes by consumer as well.',
        },
        status_code_metrics: { type: 'boolean', default: false, description: 'Counts requests by status.' },
        ai_metrics: { type: 'boolean', default: false, description: 'Counts requests, tokens and costs of models.' },
        latency_metrics: {
          type: 'boolean',
          default: false,
          description: 'Measures how long requests took, in the gateway and upstream.',
        },
        bandwidth_metrics: { type: 'boolean', default: false, description: 'Counts bytes in and out.' },
        upstream_health_metrics: {
          type: 'boolean',
          default: false,
          description: 'Tells which targets of upstreams are well.',
        },
      },
    },
  },
});

export type PrometheusConfig = Entity<typeof prometheus>['config'];
