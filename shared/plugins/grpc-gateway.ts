import { protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';

/** Translates between HTTP with JSON and gRPC. */
export const grpcGateway = definePlugin({
  name: 'grpc-gateway',
  version: '3.9.3',
  priority: 998,
  phases: ['access', 'header_filter', 'body_filter'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        proto: { type: 'string', required: false },
      },
    },
  },
});

export type GrpcGatewayConfig = Entity<typeof grpcGateway>['config'];
