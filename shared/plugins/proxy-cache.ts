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
          description: 'Statuses of answers that are kept.',
        },
        request_method: {
          type: 'array',
          required: true,
          default: ['GET', 'HEAD'],
          elements: { type: 'string', one_of: ['HEAD', 'GET', 'POST', 'PATCH', 'PUT'] },
          description: 'Methods whose answers are kept.',
        },
        content_type: {
          type: 'array',
          required: true,
          default: ['text/plain', 'application/json'],
          elements: { type: 'string' },
          description: 'Media types of answers that are kept. Parameters must be the same as well.',
        },
        cache_ttl: { type: 'integer', default: 300, gt: 0, description: 'Seconds for which an answer is given again.' },
        strategy: {
          type: 'string',
          required: true,
          one_of: ['memory'],
          also: ['edge'],
          description: 'Where answers are kept.',
        },
        cache_control: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'Cache-Control of requests and answers is kept to (RFC 9111).',
        },
        ignore_uri_case: {
          type: 'boolean',
          required: false,
          default: false,
          description: 'Paths that differ only in upper and lower case are the same.',
        },
        storage_ttl: {
          type: 'integer',
          description: 'Seconds until an answer is thrown away, where that is not when it is too old to be given.',
        },
        memory: {
          type: 'record',
          required: true,
          fields: {
            dictionary_name: {
              type: 'string',
              required: true,
              default: 'kong_db_cache',
              description: 'The memory zone, by the name that Kong has for it.',
            },
          },
          description: 'What the strategy memory is told.',
        },
        vary_query_params: {
          type: 'array',
          elements: { type: 'string' },
          description: 'Only these query arguments tell requests apart. Not set: all.',
        },
        vary_headers: { type: 'array', elements: anyHeaderName, description: 'Headers that also tell requests apart.' },
        response_headers: {
          type: 'record',
          required: true,
          fields: {
            age: { type: 'boolean', default: true, description: 'Age: for how many seconds the answer has been kept.' },
            'X-Cache-Status': { type: 'boolean', default: true, description: 'Whether it was in the cache.' },
            'X-Cache-Key': { type: 'boolean', default: true, description: 'The key it is kept by.' },
          },
          description: 'Which headers tell the client about the cache.',
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
