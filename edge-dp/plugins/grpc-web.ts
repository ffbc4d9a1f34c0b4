import type { GrpcWebConfig } from '../../shared/plugins/grpc-web.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { OwnResponse } from '../http/messages.ts';
import { base64Frames, decodeBase64Text, headOf, plainFrames } from './grpc/web-frames.ts';
import type { Answer, Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import { slot } from './runtime/slot.ts';

/** How the client speaks, by its Content-Type; answers have the same. */
interface Dialect {
  readonly type: string;
  readonly text: boolean;
}

const dialectOf = slot<Dialect>();

/** Lets browsers speak gRPC (gRPC's PROTOCOL-WEB): frames pass as they are, or in base64, and trailers become the last frame. */
const grpcWeb: Plugin<GrpcWebConfig> = {
  name: 'grpc-web',
  version: KONG_VERSION,
  priority: 3,
  compile({ proto, allow_origin_header: origin }) {
    if (proto !== null) throw new Error('config.proto: this data plane does not transcode JSON for grpc-web');
    return {
      access(request) {
        if (origin !== null) request.replyHeaders.set('Access-Control-Allow-Origin', origin);
        if (request.method === 'OPTIONS') return preflight(request);
        const dialect = DIALECTS.get(request.headers.get('content-type') ?? '');
        if (dialect === undefined) return new OwnResponse(400, NO_PROTO);
        dialectOf.set(request, dialect);
        request.headers.set('Content-Type', 'application/grpc');
        request.headers.set('TE', 'trailers');
        request.upstream.trailers = 'grpc-web';
        return dialect.text ? decodeBody(request) : undefined;
      },
      response(request, reply) {
        const dialect = dialectOf.get(request);
        if (dialect === undefined || reply.source !== 'service') return undefined;
        const head = headOf(reply);
        reply.headers.set('Content-Type', dialect.type);
        if (request.method === 'POST') reply.body.through(dialect.text ? base64Frames(head) : plainFrames(head));
        return undefined;
      },
    };
  },
};

export default grpcWeb;

const DIALECTS: ReadonlyMap<string, Dialect> = new Map(
  [
    'application/grpc-web',
    'application/grpc-web+proto',
    'application/grpc-web-text',
    'application/grpc-web-text+proto',
  ].map((type) => [type, { type, text: type.includes('-text') }]),
);

/** Kong's words; as bytes, for a text would be given a Content-Type. */
const NO_PROTO = new TextEncoder().encode('transcoding requests require a .proto file defining the service');

function preflight(request: GatewayRequest): Answer {
  return request.exit(200, 'OK', {
    'Content-Type': 'application/grpc-web-text+proto',
    'Access-Control-Allow-Methods': 'POST',
    'Access-Control-Allow-Headers': 'content-type,x-grpc-web,x-user-agent',
  });
}

/** Requests in base64 are read whole. */
const BODY_LIMIT = 10 * 1024 * 1024;

async function decodeBody(request: GatewayRequest): Promise<Answer | undefined> {
  const body = await request.body.read(BODY_LIMIT);
  if (body === null) return request.error(413);
  const decoded = decodeBase64Text(body);
  if (decoded === null) return request.error(400, 'the body is not base64');
  request.body.replace(decoded);
  return undefined;
}
