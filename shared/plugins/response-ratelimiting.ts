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
        header_name: {
          ...anyHeaderName,
          default: 'x-kong-limit',
          description: 'The header by which the API says how much an answer counts, as limit=1.',
        },
        limit_by: {
          type: 'string',
          default: 'consumer',
          one_of: ['consumer', 'credential', 'ip'],
          description: 'Who has a limit of its own.',
        },
        policy: {
          type: 'string',
          default: 'local',
          one_of: ['local', 'cluster', 'redis'],
          description: 'Where is counted: in each data plane, in all of the cluster together, or in Redis.',
        },
        fault_tolerant: {
          type: 'boolean',
          required: true,
          default: true,
          description: 'When what counts cannot be reached, requests go through.',
        },
        redis,
        block_on_first_violation: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'When one of the limits is used up, no request goes through.',
        },
        hide_client_headers: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Answers do not say how much is left.',
        },
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
          description: 'The limits by the names the API has for them.',
        },
      },
      shorthand_fields: redisFormerNames,
    },
  },
  entity_checks: redisChecks,
});

export type ResponseRatelimitingConfig = Entity<typeof responseRatelimiting>['config'];
