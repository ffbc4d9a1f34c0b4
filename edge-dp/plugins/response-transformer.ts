import type { ResponseTransformerConfig } from '../../shared/plugins/response-transformer.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { Answer, Plugin } from './runtime/plugin.ts';
import { acceptReadable, type Reply } from './runtime/reply.ts';
import type { GatewayRequest } from './runtime/request.ts';
import { JsonParameters, type JsonValue } from './transformation/json-parameters.ts';
import { splitPair } from './transformation/pairs.ts';
import { changeParameters, type ParameterRules } from './transformation/parameters.ts';
import { changeResponseHeaders } from './transformation/response-headers.ts';

/** Changes the headers of answers, and the members at the top of those that are JSON objects. */
const responseTransformer: Plugin<ResponseTransformerConfig> = {
  name: 'response-transformer',
  version: KONG_VERSION,
  priority: 800,
  compile({ remove, rename, replace, add, append }, place, services) {
    const headers = {
      remove: remove.headers.map(splitPair),
      rename: rename.headers.map(splitPair),
      replace: replace.headers.map(splitPair),
      add: add.headers.map(splitPair),
      append: append.headers.map(splitPair),
    };
    const json: ParameterRules<JsonValue> = {
      remove: remove.json.map((item) => splitPair(item).name),
      rename: rename.json.flatMap((item) => {
        const { name, value } = splitPair(item);
        return value === null ? [] : [[name, value] as const];
      }),
      replace: typed(replace.json, replace.json_types),
      add: typed(add.json, add.json_types),
      append: typed(append.json, append.json_types),
    };
    const changesBody = Object.values(json).some((list) => list.length > 0);
    const warn = (request: GatewayRequest, why: string) =>
      services.log('warn', `response-transformer ${place.id}: body not changed: ${why} (request ${request.id})`);

    return {
      ...(changesBody && {
        access(request: GatewayRequest) {
          acceptReadable(request.headers);
          return undefined;
        },
      }),
      response(request, reply) {
        changeResponseHeaders(reply.headers, headers);
        // As the client is told: a type that these headers are the first to say counts, one that they take away does not.
        if (!changesBody) return undefined;
        const type = reply.headers.get('content-type');
        // Parts show what is to be removed, and no rule can be applied to them.
        if (reply.status === 206 && (isJsonType(type) || BYTE_RANGES.test(type ?? ''))) return request.error(416);
        return isJsonType(type) ? changeBody(request, reply, json, warn) : undefined;
      },
    };
  },
};

export default responseTransformer;

/** Longer answers are kept from the client: passed on unchanged they would show what is to be removed. */
const BODY_LIMIT = 10 * 1024 * 1024;

async function changeBody(
  request: GatewayRequest,
  reply: Reply,
  rules: ParameterRules<JsonValue>,
  warn: (request: GatewayRequest, why: string) => void,
): Promise<Answer | undefined> {
  const coding = reply.headers.get('content-encoding');
  const body = await reply.body.read(BODY_LIMIT);
  if (body === null) {
    if (coding !== null && !UNDONE.has(coding.toLowerCase())) {
      warn(request, `its content coding is ${coding}`);
      return undefined;
    }
    warn(request, `it is longer than ${BODY_LIMIT} bytes, or not in the content coding it says; answered 502`);
    return request.error(502);
  }
  // The answer to HEAD, a 204, a 304. How long the body would be is known to nobody once it is to be changed.
  if (body.length === 0) {
    if (reply.headers.get('content-length') !== '0') reply.headers.delete('content-length');
    return undefined;
  }
  const members = JsonParameters.read(body, true);
  if (members === null) warn(request, 'it is no JSON object');
  else if (changeParameters(members, rules)) reply.body.replace(members.encode());
  return undefined;
}

/** Content codings that `ReplyBody.read` undoes. */
const UNDONE: ReadonlySet<string> = new Set(['gzip', 'x-gzip', 'deflate', 'identity', '']);

/** Values as JSON of the type at the same place; what is no number is left out, as in Kong. */
function typed(items: readonly string[], types: readonly string[]): readonly (readonly [string, JsonValue])[] {
  return items.flatMap((item, at) => {
    const { name, value } = splitPair(item);
    // Kong takes a missing value for the text of a JSON null.
    const cast = castValue(value ?? 'null', types[at] ?? 'string');
    return cast === null ? [] : [[name, cast] as const];
  });
}

function castValue(value: string, type: string): JsonValue | null {
  if (type === 'boolean') return value === 'true';
  if (type !== 'number') return value;
  const number = value.trim() === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : null;
}

/** `application/json`, or a type that is written in it; also among several. */
function isJsonType(contentType: string | null): boolean {
  return contentType?.split(',').some((type) => JSON_TYPE.test(type)) ?? false;
}

/** Several parts, each of the type that it says itself. */
const BYTE_RANGES = /^\s*multipart\/byteranges\s*(?:;|$)/i;
const JSON_TYPE = /^\s*application\/(?:[^\s;]+\+)?json\s*(?:;|$)/i;
