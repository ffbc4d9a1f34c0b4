import { httpProtocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';

export const correlationId = definePlugin({
  name: 'correlation-id',
  version: '3.9.3',
  priority: 100001,
  phases: ['init_worker', 'access', 'header_filter'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        header_name: { type: 'string', default: 'Kong-Request-ID' },
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
