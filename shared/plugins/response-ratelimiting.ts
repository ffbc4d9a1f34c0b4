import { anyHeaderName, httpProtocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { PERIODS, periodOrderError, periods } from './fields/periods.ts';
import { redis, redisChecks, redisFormerNames, redisNeeds } from './fields/redis.ts';

/** Allows so much per period of what upstreams count in a response header. */
export const responseRatelimiting = definePlugin({
  name: 'response-ratelimiting',
  version: KONG_VERSION,
  priority: 900,
  phases: ['access', 'header_filter', 'log'],
  needs: redisNeeds,
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        header_name: { ...anyHeaderName, default: 'x-kong-limit' },
        limit_by: { type: 'string', default: 'consumer', one_of: ['consumer', 'credential', 'ip'] },
        policy: { type: 'string', default: 'local', one_of: ['local', 'cluster', 'redis'] },
        fault_tolerant: { type: 'boolean', required: true, default: true },
        redis,
        block_on_first_violation: { type: 'boolean', required: true, default: false },
        hide_client_headers: { type: 'boolean', required: true, default: false },
        limits: {
          type: 'map',
          required: true,
          len_min: 1,
          // Parts of headers' names.
          keys: anyHeaderName,
          values: {
            type: 'record',
            required: true,
            fields: periods,
            entity_checks: [{ at_least_one_of: PERIODS }],
            custom_validator: (limits) => periodOrderError(limits, 'the limit'),
          },
        },
      },
      shorthand_fields: redisFormerNames,
    },
  },
  entity_checks: redisChecks,
});

export type ResponseRatelimitingConfig = Entity<typeof responseRatelimiting>['config'];
