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
        allowed_payload_size: {
          type: 'integer',
          default: 128,
          description: 'How long a body may be, in the unit below.',
        },
        size_unit: {
          type: 'string',
          required: true,
          default: 'megabytes',
          one_of: ['megabytes', 'kilobytes', 'bytes'],
          description: 'The unit of that. A kilobyte has 1,024 bytes, a megabyte 1,048,576.',
        },
        require_content_length: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'A request must say the length of its body beforehand.',
        },
      },
    },
  },
});

export type RequestSizeLimitingConfig = Entity<typeof requestSizeLimiting>['config'];
