import { SYNC_STATUSES } from '../../../shared/cluster/messages.ts';
import { defineEntity, type EntitySchema } from '../../../shared/schema/vocabulary.ts';

const timestamp = { type: 'integer', timestamp: true, auto: true } as const;

/**
 * Entities Kong has rows of and this store does not: tags are read from the entities that carry them, data planes from
 * the registry of nodes, counters are the data planes' own.
 */
export const unstoredSchemas: readonly EntitySchema[] = [
  defineEntity({
    name: 'tags',
    primary_key: ['tag'],
    endpoint_key: 'tag',
    db_export: false,
    fields: {
      tag: { type: 'string', required: true },
      entity_name: { type: 'string', required: true },
      entity_id: { type: 'string', required: true, uuid: true, auto: true },
    },
  }),
  defineEntity({
    name: 'clustering_data_planes',
    primary_key: ['id'],
    ttl: true,
    generate_admin_api: false,
    db_export: false,
    fields: {
      id: { type: 'string', required: true, uuid: true, auto: true },
      last_seen: timestamp,
      updated_at: timestamp,
      ip: { type: 'string', required: true },
      config_hash: { type: 'string', len_eq: 32 },
      hostname: { type: 'string', required: true },
      version: {
        type: 'string',
        match_none: [{ pattern: '%.%.', regex: /\.\./, err: 'must not have empty version segments' }],
        match_any: {
          patterns: [
            { pattern: '^%d+[%.%d]*$', regex: /^\d[.\d]*$/ },
            { pattern: '^%d+[%.%d]*%-?.*$', regex: /^\d.*$/ },
          ],
          err: 'invalid version number: must be in format of X.Y.Z',
        },
      },
      sync_status: {
        type: 'string',
        required: true,
        default: 'unknown',
        one_of: SYNC_STATUSES,
      },
      labels: { type: 'map', keys: { type: 'string' }, values: { type: 'string' } },
      cert_details: {
        type: 'record',
        required: true,
        fields: { expiry_timestamp: { type: 'number', required: false, timestamp: true } },
      },
      rpc_capabilities: { type: 'set', elements: { type: 'string' } },
    },
  }),
  defineEntity({
    name: 'parameters',
    primary_key: ['key'],
    generate_admin_api: false,
    fields: {
      created_at: timestamp,
      key: { type: 'string', required: true, unique: true },
      value: { type: 'string', required: true },
    },
  }),
  defineEntity({
    name: 'ratelimiting_metrics',
    primary_key: ['identifier', 'period', 'period_date', 'service_id', 'route_id'],
    ttl: true,
    generate_admin_api: false,
    db_export: false,
    fields: {
      identifier: { type: 'string', required: true, len_min: 0 },
      period: { type: 'string', required: true },
      period_date: { type: 'integer', required: true, timestamp: true },
      service_id: { type: 'string', required: true, uuid: true },
      route_id: { type: 'string', required: true, uuid: true },
      value: { type: 'integer', required: true },
    },
  }),
];
