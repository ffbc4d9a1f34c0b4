import { httpProtocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Refuses requests with large bodies. */
export const requestSizeLimiting = definePlugin({
  name: 'request-size-limiting',
  version: KONG_VERSION,
  priority: 951,
  phases: ['access'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        allowed_payload_size: { type: 'integer', default: 128 },
        size_unit: {
          type: 'string',
          required: true,
          default: 'megabytes',
          one_of: ['megabytes', 'kilobytes', 'bytes'],
        },
        require_content_length: { type: 'boolean', required: true, default: false },
      },
    },
  },
});

export type RequestSizeLimitingConfig = Entity<typeof requestSizeLimiting>['config'];
