import { concatBytes } from '../../shared/bytes.ts';
import type { ProtoMethod } from '../../shared/grpc/descriptor.ts';
import { normalizePath } from '../../shared/normalize-path.ts';
import type { GrpcWebConfig } from '../../shared/plugins/grpc-web.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { OwnResponse } from '../http/messages.ts';
import { FrameReader, frame } from './grpc/frames.ts';
import { jsonMessages } from './grpc/json-messages.ts';
import { compileProto, type GrpcService } from './grpc/service.ts';
import { base64Chunks, base64Frames, decodeBase64Text, headOf, plainFrames, trailerFrame } from './grpc/web-frames.ts';
import { pathUpstream } from './path-upstream.ts';
import { tellProblem } from './problem-line.ts';
import type { Answer, Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import { slot } from './runtime/slot.ts';

/** How the client speaks, by its Content-Type; answers have the same. */
interface Dialect {
  readonly type: string;
  readonly text: boolean;
  /** Messages are JSON: translated by the `.proto` file. */
  readonly json: boolean;
  /** Messages are in frames, and trailers behind them. */
  readonly framed: boolean;
}

interface Spoken {
  readonly dialect: Dialect;
  /** Null: messages pass as they are. */
  readonly method: ProtoMethod | null;
}

const spoken = slot<Spoken>();

/** Lets browsers speak gRPC (gRPC's PROTOCOL-WEB): frames pass as they are, in base64, or as JSON, and trailers become the last frame. */
const grpcWeb: Plugin<GrpcWebConfig> = {
  name: 'grpc-web',
  version: KONG_VERSION,
  priority: 3,
  compile({ proto, allow_origin_header: origin, pass_stripped_path: stripped }, place, services) {
    const service = compileProto(proto);

    const access = async (request: GatewayRequest): Promise<Answer | undefined> => {
      const path = stripped === true ? pathUpstream(request) : normalizePath(request.rawPath);
      // A gRPC service gets the whole path otherwise.
      if (stripped === true) request.upstream.path = path;
      const dialect = DIALECTS.get(request.headers.get('content-type') ?? '') ?? null;
      let method: ProtoMethod | null = null;
      if (dialect === null || dialect.json) {
        if (service === null) return refusal('transcoding requests require a .proto file defining the service');
        if (typeof service === 'string') {
          tellProblem(services, { plugin: 'grpc-web', place }, request, `config.proto: ${service}`);
          return request.error(500);
        }
        method = service.methods.get(path) ?? null;
        if (method === null) return refusal(`Unknown path ${JSON.stringify(path)}`);
        if (dialect === null) return refusal('the Content-Type is none of gRPC-Web');
      }
      if (dialect.text || dialect.json) {
        const answer = await decodeBody(request, dialect, service, method);
        if (answer !== undefined) return answer;
      }
      spoken.set(request, { dialect, method });
      request.headers.set('Content-Type', 'application/grpc');
      request.headers.set('TE', 'trailers');
      request.upstream.trailers = 'grpc-web';
      return undefined;
    };

    return {
      access(request) {
        if (origin !== null) request.replyHeaders.set('Access-Control-Allow-Origin', origin);
        return request.method === 'OPTIONS' ? preflight(request) : access(request);
      },
      response(request, reply) {
        const known = spoken.get(request);
        if (known === undefined || reply.source !== 'service') return undefined;
        const { dialect, method } = known;
        const head = headOf(reply);
        reply.headers.set('Content-Type', dialect.type);
        if (request.method !== 'POST') return undefined;
        if (method === null || service === null || typeof service === 'string') {
          reply.body.through(dialect.text ? base64Frames(head) : plainFrames(head));
          return undefined;
        }
        const ended = (trailers: Uint8Array | null) => (dialect.framed ? trailerFrame(trailers, head) : null);
        reply.body.through(jsonMessages(service.codec, method.output, { framed: dialect.framed, ended }));
        if (dialect.text) reply.body.through(base64Chunks());
        return undefined;
      },
    };
  },
};

export default grpcWeb;

const DIALECTS: ReadonlyMap<string, Dialect> = new Map(
  [
    'application/grpc-web',
    'application/grpc-web-text',
    'application/grpc-web+proto',
    'application/grpc-web-text+proto',
    'application/grpc-web+json',
    'application/grpc-web-text+json',
    'application/json',
  ].map((type) => {
    const framed = type !== 'application/json';
    return [type, { type, text: type.includes('-text'), json: type.endsWith('json'), framed }];
  }),
);

/** Kong's words; as bytes, for a text would be given a Content-Type. */
function refusal(words: string): Answer {
  return new OwnResponse(400, new TextEncoder().encode(words));
}

function preflight(request: GatewayRequest): Answer {
  return request.exit(200, 'OK', {
    'Content-Type': 'application/grpc-web-text+proto',
    'Access-Control-Allow-Methods': 'POST',
    'Access-Control-Allow-Headers': 'content-type,x-grpc-web,x-user-agent',
  });
}

/** Requests in base64 and JSON are read whole. */
const BODY_LIMIT = 10 * 1024 * 1024;

async function decodeBody(
  request: GatewayRequest,
  dialect: Dialect,
  service: GrpcService | string | null,
  method: ProtoMethod | null,
): Promise<Answer | undefined> {
  const body = await request.body.read(BODY_LIMIT);
  if (body === null) return request.error(413);
  const bytes = dialect.text ? decodeBase64Text(body) : body;
  if (bytes === null) return request.error(400, 'the body is not base64');
  if (method === null || service === null || typeof service === 'string') {
    request.body.replace(bytes);
    return undefined;
  }
  try {
    const messages = dialect.framed ? [...new FrameReader().read(bytes)].map(({ content }) => content) : [bytes];
    const encoded = messages.map((text) => service.codec.encode(method.input, JSON.parse(TEXT.decode(text))));
    request.body.replace(concatBytes(encoded.map((message) => frame(0, message))));
    return undefined;
  } catch (error) {
    return request.error(
      400,
      `the body is no message of ${method.input}: ${error instanceof Error ? error.message : ''}`,
    );
  }
}

const TEXT = new TextDecoder();
