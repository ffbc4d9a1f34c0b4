import { anyHeaderName, httpProtocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Gives each request an id of its own, shown to the upstream and, if asked for, to the client. */
export const correlationId = definePlugin({
  name: 'correlation-id',
  version: KONG_VERSION,
  priority: 100001,
  phases: ['init_worker', 'access', 'header_filter'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        header_name: { ...anyHeaderName, default: 'Kong-Request-ID' },
        generator: {
          type: 'string',
          required: true,
          default: 'uuid#counter',
          one_of: ['uuid', 'uuid#counter', 'tracker'],
        },
        echo_downstream: { type: 'boolean', required: true, default: false },
      },
    },
  },
});

export type CorrelationIdConfig = Entity<typeof correlationId>['config'];
