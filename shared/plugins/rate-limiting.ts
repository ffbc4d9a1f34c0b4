import { headerName, httpProtocols, path } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { errorStatusError } from './fields/error-status.ts';
import { PERIODS, periodOrderError, periods } from './fields/periods.ts';
import { redis, redisChecks, redisFormerNames, redisNeeds } from './fields/redis.ts';

/** Allows so many requests per period. */
export const rateLimiting = definePlugin({
  name: 'rate-limiting',
  version: KONG_VERSION,
  priority: 910,
  phases: ['access'],
  needs: redisNeeds,
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        ...periods,
        limit_by: {
          type: 'string',
          default: 'consumer',
          one_of: ['consumer', 'credential', 'ip', 'service', 'header', 'path'],
          description: 'Who has a limit of its own.',
        },
        header_name: {
          ...headerName,
          description: 'The header whose value has a limit of its own, with limit_by: header.',
        },
        path: { ...path, description: 'The path that has a limit of its own, with limit_by: path.' },
        policy: {
          type: 'string',
          default: 'local',
          len_min: 0,
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
        hide_client_headers: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Answers do not say how much is left.',
        },
        error_code: {
          type: 'number',
          default: 429,
          gt: 0,
          custom_validator: errorStatusError,
          description: 'Status of the answer to what is too much.',
        },
        error_message: { type: 'string', default: 'API rate limit exceeded', description: 'What that answer says.' },
        sync_rate: {
          type: 'number',
          required: true,
          default: -1,
          description:
            'Seconds between two exchanges with Redis; in between each data plane counts alone. -1: at each request.',
        },
      },
      shorthand_fields: redisFormerNames,
      custom_validator: configError,
    },
  },
  entity_checks: [
    { at_least_one_of: PERIODS.map((period) => `config.${period}`) },
    ...redisChecks,
    {
      conditional: {
        if_field: 'config.limit_by',
        if_match: { eq: 'header' },
        then_field: 'config.header_name',
        then_match: { required: true },
      },
    },
    {
      conditional: {
        if_field: 'config.limit_by',
        if_match: { eq: 'path' },
        then_field: 'config.path',
        then_match: { required: true },
      },
    },
  ],
});

export type RateLimitingConfig = Entity<typeof rateLimiting>['config'];

function configError(config: Readonly<Record<string, unknown>>): string | undefined {
  const { policy, sync_rate } = config;
  const disorder = periodOrderError(config, 'The limit');
  if (disorder !== undefined) return disorder;
  if (sync_rate === -1) return undefined;
  if (policy !== 'redis') return 'sync_rate can only be used with the redis policy';
  return Number(sync_rate) < 0.02 ? 'sync_rate must be greater than 0.02, or -1 to disable' : undefined;
}
