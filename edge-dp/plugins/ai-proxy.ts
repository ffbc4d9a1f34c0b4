import type { AiProxyConfig } from '../../shared/plugins/ai-proxy.ts';
import { isRecord, type Row } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { escapePath } from '../lua/kong/service.ts';
import { beginModelStream, endModelStream, logProxied, noteAsked } from './llm/analytics.ts';
import { answeredUsage, nativeAnswer, translateAnswer } from './llm/answers.ts';
import { compileCredentials, located, putHeaders } from './llm/credentials.ts';
import { type Destination, destinationOf } from './llm/destination.ts';
import { type Operation, TranslationProblem, type Usage } from './llm/driver.ts';
import { drivers } from './llm/drivers.ts';
import { compileModel, type Model, TemplateProblem } from './llm/model.ts';
import { nativeCall, openAiPayload } from './llm/native-formats.ts';
import { modelError, readPayload, writePayload } from './llm/payload.ts';
import { translateRequest } from './llm/requests.ts';
import { followStream, type Said, translateStream } from './llm/stream.ts';
import { estimatedCompletionTokens, estimatedPromptTokens } from './llm/usage.ts';
import { checkedPayload, RefusedPayload } from './llm/validation.ts';
import { tellProblem } from './problem-line.ts';
import type { Answer, Plugin } from './runtime/plugin.ts';
import type { Reply } from './runtime/reply.ts';
import type { GatewayRequest } from './runtime/request.ts';
import { slot } from './runtime/slot.ts';

/** What a request for a model became on its way there. */
interface Asked {
  readonly model: Model;
  readonly streaming: boolean;
  readonly sentAt: number;
  /** Of the prompt, for providers that do not count. */
  readonly estimated: number;
  readonly sent: Row;
}

const asked = slot<Asked>();

/** Sends requests in OpenAI's shape to the models of nine providers, and gives their answers in OpenAI's shape. */
const aiProxy: Plugin<AiProxyConfig> = {
  name: 'ai-proxy',
  version: KONG_VERSION,
  priority: 770,
  compile(config, place, services) {
    const { route_type: route, llm_format: format, logging, response_streaming: streams } = config;
    const { provider } = config.model;
    const template = compileModel(config.model);
    const driver = drivers[provider];
    const credentials = compileCredentials(provider, config.auth, services);
    const native = format !== null && format !== 'openai';
    const limit = config.max_request_body_size ?? 0;
    const preserve = route === 'preserve';
    const operation: Operation = route === 'llm/v1/completions' ? route : 'llm/v1/chat';

    /** What the client sent as a request that may be sent. Throws `RefusedPayload`, `TemplateProblem`. */
    const prepare = async (request: GatewayRequest) => {
      const model = template.fill(request);
      const read = await readPayload(request, limit);
      const wanted = { model, route, streams };
      if (!native) return checkedPayload(read ?? {}, wanted);
      // What it is in is the client's and the provider's affair: here only prompts, model and stream are looked at.
      const { model: named, stream } = nativeCall(format, request);
      const { messages } = openAiPayload(read, format) ?? {};
      return checkedPayload({ messages, model: named, stream }, wanted);
    };

    const send = async (request: GatewayRequest, wanted: Model, payload: Row): Promise<void> => {
      const model = await located(wanted, services);
      const streaming = payload.stream === true;
      const sent = native
        ? ((await readPayload(request, limit)) ?? payload)
        : preserve
          ? payload
          : translateRequest(payload, driver, model, operation);
      if (!native && !preserve) await writePayload(request, credentials.inBody(sent));
      const to = destinationOf(model, { route, streaming, path: request.rawPath });
      request.query = credentials.inQuery(request.query, model);
      const path = escapePath(to.path);
      // What `preserve` sends may be of any length: it is not held for nothing.
      const body = credentials.signsBodies ? await request.body.read(LONGEST_SIGNED) : NOTHING;
      if (body === null) throw new RefusedPayload(`the request body is longer than ${LONGEST_SIGNED} bytes`);
      const made = await credentials.made({ method: request.method, query: request.query, body }, model, {
        ...to,
        path,
      });
      putHeaders(request, credentials, made);
      if (provider === 'anthropic') {
        const version = model.options?.anthropic_version ?? null;
        if (version !== null) request.headers.set('anthropic-version', version);
      }
      // Other codings could not be undone.
      request.headers.set('Accept-Encoding', provider === 'gemini' ? 'identity' : 'gzip, identity');
      go(request, to, path);
      const estimated = COUNTS.has(provider) ? 0 : estimatedPromptTokens(payload, streaming);
      noteAsked(request, model);
      asked.set(request, { model, streaming, sentAt: Date.now(), estimated, sent });
    };

    /** Once the answer is complete. */
    const tell = (request: GatewayRequest, was: Asked, used: Usage, answeredBy: unknown, said: string): void => {
      if (!logging.log_statistics) return;
      const usage = { prompt: used.prompt ?? was.estimated, completion: used.completion };
      const payloads = logging.log_payloads ? { request: JSON.stringify(was.sent), response: said } : null;
      const took = Date.now() - was.sentAt;
      logProxied(request, place.id, { operation, model: was.model, answeredBy, usage, took, payloads });
    };

    const answerWhole = async (request: GatewayRequest, reply: Reply, was: Asked): Promise<undefined> => {
      if (DROPS_COOKIES.has(provider)) reply.headers.delete('set-cookie');
      const bytes = await reply.body.read(ANSWER_LIMIT);
      const text = bytes === null ? null : TEXT.decode(bytes);
      if (native) {
        const { usage, answeredBy } = nativeAnswer(text);
        tell(request, was, usage, answeredBy, text ?? '');
        return undefined;
      }
      const outcome = translateAnswer(text, driver, was.model, operation);
      if ('problem' in outcome) {
        tellProblem(services, { plugin: 'ai-proxy', place }, request, outcome.problem);
        reply.status = 500;
        reply.body.replace(JSON.stringify({ error: { message: outcome.problem } }));
        return undefined;
      }
      if (outcome.text !== text || reply.headers.has('content-encoding')) reply.body.replace(outcome.text);
      tell(
        request,
        was,
        answeredUsage(outcome.answer),
        isRecord(outcome.answer) ? outcome.answer.model : undefined,
        outcome.text,
      );
      return undefined;
    };

    return {
      async access(request) {
        let prepared: Awaited<ReturnType<typeof prepare>>;
        try {
          prepared = await prepare(request);
          await send(request, prepared.model, prepared.payload);
        } catch (error) {
          const answer = refusal(request, error);
          if (answer !== null) return answer;
          tellProblem(services, { plugin: 'ai-proxy', place }, request, messageOf(error));
          return modelError(request, 500, 'LLM request failed before proxying');
        }
        return undefined;
      },

      response(request, reply) {
        const was = asked.get(request);
        if (was === undefined || reply.source !== 'service') return undefined;
        const contentType = reply.headers.get('content-type');
        if (was.streaming) reply.headers.set('Content-Type', 'text/event-stream');
        if (reply.status !== 200) return undefined;
        if (config.model_name_header) reply.headers.set('X-Kong-LLM-Model', `${provider}/${was.model.name ?? ''}`);
        if (preserve) return undefined;
        if (!was.streaming) return answerWhole(request, reply, was);
        const events = driver.stream(was.model, operation);
        const ended = (used: Usage, said: Said): void => {
          const completion = used.completion ?? estimatedCompletionTokens(said.text.trim().length + said.unkept);
          const usage = { prompt: used.prompt ?? was.estimated, completion };
          tell(request, was, usage, undefined, logging.log_payloads ? asWhole(said, usage) : '');
        };
        const { stream, brokenOff } = (native ? followStream : translateStream)(contentType, events, ended);
        reply.body.through(stream);
        beginModelStream(request, brokenOff);
        return undefined;
      },
      log({ request }) {
        endModelStream(request);
      },
    };
  },
};

export default aiProxy;

/** Providers that say how many tokens a prompt took. */
const COUNTS: ReadonlySet<Model['provider']> = new Set(['cohere', 'llama2', 'anthropic', 'gemini', 'bedrock']);
/** Providers whose cookies are theirs alone. */
const DROPS_COOKIES: ReadonlySet<Model['provider']> = new Set(['openai', 'azure', 'mistral', 'gemini', 'bedrock']);
const ANSWER_LIMIT = 16 * 1024 * 1024;
/** Bytes of a body that is signed: more than Bedrock takes. */
const LONGEST_SIGNED = 32 * 1024 * 1024;
const NOTHING = new Uint8Array();
const TEXT = new TextDecoder();

/** The answer that a stream would have been, as the log has it. */
function asWhole({ text, finishReason }: Said, { prompt, completion }: { prompt: number; completion: number }): string {
  return JSON.stringify({
    choices: [{ finish_reason: finishReason, index: 0, logprobs: null, message: { role: 'assistant', content: text } }],
    object: 'chat.completion',
    response: text,
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
  });
}

function go({ upstream }: GatewayRequest, { scheme, host, port }: Destination, path: string): void {
  upstream.scheme = scheme;
  upstream.target = { host, port };
  upstream.path = path;
}

/** The answer where it was the client; null: something else went wrong. */
function refusal(request: GatewayRequest, error: unknown): Answer | null {
  const isClients =
    error instanceof RefusedPayload || error instanceof TemplateProblem || error instanceof TranslationProblem;
  return isClients ? modelError(request, 400, error.message) : null;
}
