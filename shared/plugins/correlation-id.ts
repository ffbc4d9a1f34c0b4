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
        header_name: { ...anyHeaderName, default: 'Kong-Request-ID', description: 'The header that has the ID.' },
        generator: {
          type: 'string',
          required: true,
          default: 'uuid#counter',
          one_of: ['uuid', 'uuid#counter', 'tracker'],
          description:
            'What the ID looks like. counter: it counts up, and is short. tracker: it tells server, connection and time.',
        },
        echo_downstream: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The client sees the ID in its answer.',
        },
      },
    },
  },
});

export type CorrelationIdConfig = Entity<typeof correlationId>['config'];
