import { need } from '../cluster/need.ts';
import { headerValue, protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Translates between gRPC-Web and gRPC. */
export const grpcWeb = definePlugin({
  name: 'grpc-web',
  version: KONG_VERSION,
  priority: 3,
  phases: ['access', 'header_filter', 'body_filter'],
  needs: () => [need('upstream_http2', 'name', 'grpc-web')],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        proto: {
          type: 'string',
          required: false,
          description: 'The .proto file with the services, on the control plane. Needed for clients that send JSON.',
        },
        pass_stripped_path: {
          type: 'boolean',
          required: false,
          description: 'The path that is passed on is without what the route cut off.',
        },
        allow_origin_header: {
          ...headerValue,
          required: false,
          default: '*',
          description: 'What Access-Control-Allow-Origin says in answers.',
        },
      },
    },
  },
});

export type GrpcWebConfig = Entity<typeof grpcWeb>['config'];
