import { need } from '../cluster/need.ts';
import { protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Translates between HTTP with JSON and gRPC. */
export const grpcGateway = definePlugin({
  name: 'grpc-gateway',
  version: KONG_VERSION,
  priority: 998,
  phases: ['access', 'header_filter', 'body_filter'],
  needs: () => [need('upstream_http2', 'name', 'grpc-gateway')],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        proto: {
          type: 'string',
          required: false,
          description:
            'The .proto file with the services, on the control plane. Its google.api.http options say which paths there are.',
        },
      },
    },
  },
});

export type GrpcGatewayConfig = Entity<typeof grpcGateway>['config'];
