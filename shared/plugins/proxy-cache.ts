import { need } from '../cluster/need.ts';
import { anyHeaderName, protocols } from '../schema/kinds.ts';
import { getPath } from '../schema/record.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { isSharedDictionary } from './fields/shared-dictionaries.ts';

/** Keeps responses in memory, or in the cache of the edge. */
export const proxyCache = definePlugin({
  name: 'proxy-cache',
  version: KONG_VERSION,
  priority: 100,
  phases: ['init_worker', 'access', 'header_filter', 'body_filter'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        response_code: {
          type: 'array',
          required: true,
          default: [200, 301, 404],
          len_min: 1,
          elements: { type: 'integer', between: [100, 900] },
        },
        request_method: {
          type: 'array',
          required: true,
          default: ['GET', 'HEAD'],
          elements: { type: 'string', one_of: ['HEAD', 'GET', 'POST', 'PATCH', 'PUT'] },
        },
        content_type: {
          type: 'array',
          required: true,
          default: ['text/plain', 'application/json'],
          elements: { type: 'string' },
        },
        cache_ttl: { type: 'integer', default: 300, gt: 0 },
        strategy: { type: 'string', required: true, one_of: ['memory'], also: ['edge'] },
        cache_control: { type: 'boolean', required: true, default: false },
        ignore_uri_case: { type: 'boolean', required: false, default: false },
        storage_ttl: { type: 'integer' },
        memory: {
          type: 'record',
          required: true,
          fields: {
            dictionary_name: { type: 'string', required: true, default: 'kong_db_cache' },
          },
        },
        vary_query_params: { type: 'array', elements: { type: 'string' } },
        vary_headers: { type: 'array', elements: anyHeaderName },
        response_headers: {
          type: 'record',
          required: true,
          fields: {
            age: { type: 'boolean', default: true },
            'X-Cache-Status': { type: 'boolean', default: true },
            'X-Cache-Key': { type: 'boolean', default: true },
          },
        },
      },
    },
  },
  needs: function* ({ strategy }) {
    if (strategy === 'edge') yield need('edge_cache', 'config.strategy', strategy);
  },
  entity_checks: [{ custom_entity_check: { field_sources: ['config'], fn: dictionaryError } }],
});

function dictionaryError(plugin: Readonly<Record<string, unknown>>): string | undefined {
  const name = getPath(plugin, ['config', 'memory', 'dictionary_name']);
  if (getPath(plugin, ['config', 'strategy']) !== 'memory' || typeof name !== 'string') return undefined;
  return isSharedDictionary(name) ? undefined : `missing shared dict '${name}'`;
}

export type ProxyCacheConfig = Entity<typeof proxyCache>['config'];
