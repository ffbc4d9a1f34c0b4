import { parseAsCjson } from '../../shared/lua/cjson.ts';
import type { AiResponseTransformerConfig } from '../../shared/plugins/ai-response-transformer.ts';
import { isRecord } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { FieldList, type HeaderFields } from '../http/fields.ts';
import { OwnResponse } from '../http/messages.ts';
import { modelError } from './llm/payload.ts';
import { readResponse } from './llm/read-response.ts';
import { compileRewriter, RewriteFailure } from './llm/rewriter.ts';
import { tellProblem } from './problem-line.ts';
import { type Answer, type Plugin, waitedFor } from './runtime/plugin.ts';
import { acceptReadable } from './runtime/reply.ts';
import type { GatewayRequest } from './runtime/request.ts';

/** Lets a model rewrite the bodies of answers, and their status and headers where it is asked for that. */
const aiResponseTransformer: Plugin<AiResponseTransformerConfig> = {
  name: 'ai-response-transformer',
  version: KONG_VERSION,
  priority: 768,
  compile(config, place, services) {
    const rewriter = compileRewriter('ai-response-transformer', config, place, services);
    const transform = async (request: GatewayRequest): Promise<Answer> => {
      acceptReadable(request.headers);
      // A model is shown the whole: what it says is no part of what the upstream has.
      request.headers.delete('range');
      const response = await request.forward();
      const { status, headers } = response;
      const text = await readResponse(response, ANSWER_LIMIT);
      if (text === null) return modelError(request, 500, `the answer is longer than ${ANSWER_LIMIT} bytes, or encoded`);
      const said = await rewriter.rewrite(request, text);
      if (!config.parse_llm_response_json_instructions)
        return new OwnResponse(status, UTF8.encode(said), kept(headers));
      try {
        return instructed(said, headers);
      } catch (error) {
        const why = `failed to parse JSON response instructions from AI backend: ${messageOf(error)}`;
        tellProblem(services, { plugin: 'ai-response-transformer', place }, request, why);
        return modelError(request, 500, why);
      }
    };
    return {
      async access(request) {
        const startedAt = Date.now();
        let answer: Answer;
        try {
          answer = await transform(request);
        } catch (error) {
          if (!(error instanceof RewriteFailure)) throw error;
          answer = modelError(request, 400, error.message);
        }
        return 'served' in answer ? answer : waitedFor(answer, Date.now() - startedAt);
      },
    };
  },
};

export default aiResponseTransformer;

const ANSWER_LIMIT = 10 * 1024 * 1024;
const UTF8 = new TextEncoder();

/** What is said of the body that another takes the place of, and of the connection. */
const DROPPED: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'connection',
  'keep-alive',
]);

/** The upstream's headers, as far as they still hold. */
function kept(headers: HeaderFields): FieldList {
  const list = new FieldList();
  for (const [name, value] of headers) if (!DROPPED.has(name)) list.append(name, value);
  return list;
}

/** An answer as the model says: `{"status", "headers", "body"}`, each where it is there. Throws what is wrong with it. */
function instructed(said: string, upstreams: HeaderFields): Answer {
  // What models say before their JSON, in Kong's words.
  if (!/^\s*["{[\d\-tfn]/.test(said)) {
    throw new Error(`Expected value but found invalid token at character ${Math.max(said.search(/\S/), 0) + 1}`);
  }
  const told = parseAsCjson(said);
  if (!isRecord(told)) throw new Error('input not table or string');
  const { status = 200, headers = {}, body = told } = told;
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
    throw new Error(`${JSON.stringify(status)} is no status from 200 to 599`);
  }
  if (!isRecord(headers)) throw new Error('headers must be an object');
  const all = kept(upstreams);
  for (const [name, value] of Object.entries(headers)) {
    if (!DROPPED.has(name.toLowerCase())) all.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
  return new OwnResponse(status, UTF8.encode(typeof body === 'string' ? body : JSON.stringify(body)), all);
}
