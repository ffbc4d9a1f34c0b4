import { normalizePath } from '../../shared/normalize-path.ts';
import type { GrpcGatewayConfig } from '../../shared/plugins/grpc-gateway.ts';
import { isRecord, type Row } from '../../shared/record.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { OwnResponse } from '../http/messages.ts';
import { decodeArguments } from '../lua/arguments.ts';
import { FrameReader, frame, TRAILERS } from './grpc/frames.ts';
import { jsonMessages } from './grpc/json-messages.ts';
import { type Binding, compileProto, type GrpcService } from './grpc/service.ts';
import { headOf, outcomeOf } from './grpc/web-frames.ts';
import { jsonProblem } from './json-problem.ts';
import { tellProblem } from './problem-line.ts';
import type { Answer, Plugin } from './runtime/plugin.ts';
import type { Reply } from './runtime/reply.ts';
import type { GatewayRequest } from './runtime/request.ts';
import { slot } from './runtime/slot.ts';

const called = slot<Binding>();

/** Calls methods of gRPC over plain HTTP with JSON, as `google.api.http` in their `.proto` file says. */
const grpcGateway: Plugin<GrpcGatewayConfig> = {
  name: 'grpc-gateway',
  version: KONG_VERSION,
  priority: 998,
  compile({ proto }, place, services) {
    const service = compileProto(proto);
    const problem = (request: GatewayRequest, why: string): void =>
      tellProblem(services, { plugin: 'grpc-gateway', place }, request, why);

    const access = async (request: GatewayRequest): Promise<Answer | undefined> => {
      if (service === null) return refusal('transcoding requests require a .proto file defining the service');
      if (typeof service === 'string') {
        problem(request, `config.proto: ${service}`);
        return request.error(500);
      }
      const found = bindingOf(service, request);
      if (typeof found === 'string') return refusal(`failed to transcode .proto file ${found}`);
      const body = await request.body.read(BODY_LIMIT);
      if (body === null) return request.error(413);
      const message = messageOf(service, found, request, body);
      if (typeof message === 'string') return refusal(message);
      const { method } = found.binding;
      let encoded: Uint8Array;
      try {
        encoded = service.codec.encode(method.input, message);
      } catch (error) {
        problem(request, String(error));
        return refusal('failed to encode payload');
      }
      called.set(request, found.binding);
      request.body.replace(frame(0, encoded), 'application/grpc');
      request.headers.set('TE', 'trailers');
      request.method = 'POST';
      request.query = '';
      request.upstream.path = method.path;
      request.upstream.trailers = 'grpc-web';
      return undefined;
    };

    return {
      access(request) {
        request.replyHeaders.set('Access-Control-Allow-Origin', '*');
        return request.method === 'OPTIONS' ? preflight(request) : access(request);
      },
      response(request, reply) {
        const binding = called.get(request);
        if (binding === undefined || reply.source !== 'service' || service === null || typeof service === 'string') {
          return undefined;
        }
        const { method } = binding;
        const head = headOf(reply);
        // Another protocol's answer is the client's own affair.
        if (head.contentType?.startsWith('application/grpc') !== true) return undefined;
        reply.headers.set('Content-Type', 'application/json');
        if (!method.streams || head.grpcStatus !== null)
          return answerWhole(service, method.output, request, reply, problem);
        reply.body.through(jsonMessages(service.codec, method.output, { framed: false, ended: () => null }));
        return undefined;
      },
    };
  },
};

export default grpcGateway;

const BODY_LIMIT = 10 * 1024 * 1024;
const ANSWER_LIMIT = 16 * 1024 * 1024;

function preflight(request: GatewayRequest): Answer {
  return request.exit(200, 'OK', {
    'Content-Type': 'application/json',
    'Access-Control-Allow-Methods': 'GET,POST,PATCH,DELETE',
    'Access-Control-Allow-Headers': 'content-type',
  });
}

/** Kong's words; as bytes, for a text would be given a Content-Type. */
function refusal(words: string): Answer {
  return new OwnResponse(400, new TextEncoder().encode(words));
}

interface Found {
  readonly binding: Binding;
  readonly variables: ReadonlyMap<string, string>;
}

/** A text: why there is none. */
function bindingOf({ bindings }: GrpcService, { method, rawPath }: GatewayRequest): Found | string {
  const all = bindings.get(method.toLowerCase());
  if (all === undefined) return `Unknown method ${JSON.stringify(method.toLowerCase())}`;
  const path = normalizePath(rawPath);
  for (const binding of all) {
    const variables = binding.match(path);
    if (variables !== null) return { binding, variables };
  }
  return `Unknown path ${JSON.stringify(path)}`;
}

/** The message that a request is: of its path, its body, or its query. A text: why it is none. */
function messageOf(
  { codec }: GrpcService,
  { binding, variables }: Found,
  request: GatewayRequest,
  body: Uint8Array,
): Row | string {
  const message: Record<string, unknown> = {};
  const { input } = binding.method;
  if (binding.body === null) {
    for (const [name, value] of decodeArguments(request.query, 0)) put(codec, input, message, name, value);
  } else if (body.length > 0) {
    const text = new TextDecoder().decode(body);
    let told: unknown;
    try {
      told = JSON.parse(text);
    } catch {
      return `decode json err: ${jsonProblem(text)}`;
    }
    if (binding.body !== '*') message[binding.body] = told;
    else if (isRecord(told)) Object.assign(message, told);
    else return 'body must be a table';
  }
  // What the path says cannot be said otherwise.
  for (const [name, value] of variables) put(codec, input, message, name, value);
  return message;
}

/** Sets a field by its path, fields of messages within apart by dots. One that there is not is left out. */
function put(
  codec: GrpcService['codec'],
  type: string,
  message: Record<string, unknown>,
  path: string,
  value: unknown,
): void {
  const names = path.split('.', DEEPEST + 1);
  // A message that may hold itself would take as many as a query can say.
  if (names.length <= DEEPEST) putWithin(codec, type, message, names, value);
}

/** Messages deeper than this are not written either. */
const DEEPEST = 100;

function putWithin(
  codec: GrpcService['codec'],
  type: string,
  message: Record<string, unknown>,
  [name = '', ...rest]: readonly string[],
  value: unknown,
): void {
  const field = codec.field(type, name);
  if (field === undefined) return;
  if (rest.length === 0) {
    message[field.name] = Array.isArray(value) && !field.repeated ? value.at(-1) : value;
    return;
  }
  if (!('message' in field.type)) return;
  const before = message[field.name];
  const within: Record<string, unknown> = isRecord(before) ? { ...before } : {};
  putWithin(codec, field.type.message, within, rest, value);
  message[field.name] = within;
}

/** One message, and an outcome that may be known by the trailers alone: the status follows it. */
async function answerWhole(
  { codec }: GrpcService,
  type: string,
  request: GatewayRequest,
  reply: Reply,
  problem: (request: GatewayRequest, why: string) => void,
): Promise<Answer | undefined> {
  const head = { ...headOf(reply), contentType: 'application/grpc' };
  const body = await reply.body.read(ANSWER_LIMIT);
  if (body === null) {
    problem(request, `the answer is longer than ${ANSWER_LIMIT} bytes`);
    return request.error(502);
  }
  let trailers: Uint8Array | null = null;
  let text = '';
  try {
    for (const { flags, content } of new FrameReader().read(body)) {
      if (flags >= TRAILERS) trailers = content;
      else text += JSON.stringify(codec.decode(type, content));
    }
  } catch (error) {
    problem(request, String(error));
    return request.error(502);
  }
  const outcome = outcomeOf(trailers, head);
  reply.status = STATUSES.get(outcome.status) ?? 500;
  reply.headers.set('grpc-status', outcome.status);
  if (outcome.message !== '') reply.headers.set('grpc-message', outcome.message);
  reply.body.replace(text);
  return undefined;
}

/** The HTTP statuses of gRPC's (google/rpc/code.proto), as Kong has them. */
const STATUSES: ReadonlyMap<string, number> = new Map([
  ['0', 200],
  ['1', 499],
  ['2', 500],
  ['3', 400],
  ['4', 504],
  ['5', 404],
  ['6', 409],
  ['7', 403],
  ['8', 429],
  ['9', 400],
  ['10', 409],
  ['11', 400],
  ['12', 500],
  ['13', 500],
  ['14', 503],
  ['15', 500],
  ['16', 401],
]);
