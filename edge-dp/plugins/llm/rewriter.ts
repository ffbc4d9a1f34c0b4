import { compilePattern, type Regex } from '../../../shared/atc/regex.ts';
import type { AiRequestTransformerConfig } from '../../../shared/plugins/ai-request-transformer.ts';
import { type Row, recordOrEmpty } from '../../../shared/record.ts';
import { messageOf } from '../../../shared/thrown.ts';
import { tellProblem } from '../problem-line.ts';
import type { Place } from '../runtime/plugin.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import type { Services } from '../runtime/services.ts';
import { logTransformed } from './analytics.ts';
import { answeredUsage, translateAnswer } from './answers.ts';
import { compileCredentials, located } from './credentials.ts';
import { destinationOf } from './destination.ts';
import { type Driver, eventData, records, TranslationProblem, textOf } from './driver.ts';
import { takesSystemPrompts } from './drivers/bedrock.ts';
import { breachesSafety } from './drivers/gemini.ts';
import { drivers } from './drivers.ts';
import type { Model } from './model.ts';
import { readResponse } from './read-response.ts';
import { translateRequest } from './requests.ts';

/** What a transformer is configured with of the model that it asks. */
type AskingConfig = Pick<
  AiRequestTransformerConfig,
  | 'llm'
  | 'prompt'
  | 'transformation_extract_pattern'
  | 'http_timeout'
  | 'https_verify'
  | 'http_proxy_host'
  | 'http_proxy_port'
  | 'https_proxy_host'
  | 'https_proxy_port'
>;

/** A model that is told to rewrite a text. */
export interface Rewriter {
  /** What it makes of the text. Throws `RewriteFailure`. */
  rewrite(request: GatewayRequest, text: string): Promise<string>;
}

/** Why there is no other text, in Kong's words for the client. */
export class RewriteFailure extends Error {
  override readonly name = 'RewriteFailure';
}

export function compileRewriter(plugin: string, config: AskingConfig, place: Place, services: Services): Rewriter {
  const { model, auth, logging } = config.llm;
  const driver = drivers[model.provider];
  const credentials = compileCredentials(model.provider, auth, services);
  const pattern = config.transformation_extract_pattern;
  const extract = pattern === null ? null : compiled(pattern);

  const ask = async (body: string): Promise<string> => {
    const here = await located(model, services);
    const to = destinationOf(here, { route: 'llm/v1/chat', streaming: false, path: '/' });
    // Here a port that is not said is the scheme's own.
    const address = new URL(model.options?.upstream_url ?? `https://${to.host}`);
    const port = address.port === '' ? (to.scheme === 'https' ? 443 : 80) : Number(address.port);
    const proxy = proxyOf(config, to.scheme);
    const query = credentials.inQuery(address.search.slice(1), model);
    const bytes = new TextEncoder().encode(body);
    const made = await credentials.made({ method: 'POST', query, body: bytes }, here, { ...to, port });
    const version = model.provider === 'anthropic' ? (model.options?.anthropic_version ?? null) : null;
    const response = await services.fetch({
      url: `${address.origin}${to.path}${query === '' ? '' : `?${query}`}`,
      method: 'POST',
      headers: {
        Accept: 'application/json',
        'Content-Type': 'application/json',
        ...(credentials.header !== null && { [credentials.header.name]: credentials.header.value }),
        ...(version !== null && { 'anthropic-version': version }),
        ...made,
      },
      body,
      timeout: config.http_timeout,
      verify: config.https_verify,
      ...(proxy !== null && { proxy }),
    });
    if (response.status > 299) {
      response.discard();
      throw new RewriteFailure(`failed to introspect request with AI service: status code ${response.status}`);
    }
    const text = await readResponse(response, ANSWER_LIMIT);
    if (text === null)
      throw new Error(`the answer is longer than ${ANSWER_LIMIT} bytes, or in a coding that is none of ours`);
    return text;
  };

  return {
    async rewrite(request, text) {
      const messages = instructed(config.prompt, text, model.name, model.provider);
      const body = JSON.stringify(credentials.inBody(translated({ messages }, driver, model)));
      const startedAt = Date.now();
      let told: string;
      try {
        told = await ask(body);
      } catch (error) {
        if (error instanceof RewriteFailure) throw error;
        tellProblem(services, { plugin, place }, request, messageOf(error));
        throw new RewriteFailure('failed to introspect request with AI service: request to ai service failed');
      }
      const outcome =
        model.provider === 'gemini' && breachesSafety(eventData(told))
          ? { problem: BREACH }
          : translateAnswer(told, driver, model, 'llm/v1/chat');
      if ('problem' in outcome)
        throw new RewriteFailure(`failed to convert AI response to Kong format: ${outcome.problem}`);
      const answer = recordOrEmpty(outcome.answer);
      if (logging.log_statistics) {
        const payloads = logging.log_payloads ? { request: body, response: outcome.text } : null;
        const took = Date.now() - startedAt;
        logTransformed(request, plugin, place.id, {
          operation: 'llm/v1/chat',
          model,
          answeredBy: answer.model,
          usage: answeredUsage(answer),
          took,
          payloads,
        });
      }
      const said = textOf(recordOrEmpty(records(answer.choices)[0]?.message).content);
      if (said === undefined) throw new RewriteFailure("no 'choices' in upstream AI service response");
      if (extract === null) return said;
      const [match] = extract.exec(said) ?? [];
      if (match === undefined) throw new RewriteFailure('AI response did not match specified regular expression');
      return match;
    },
  };
}

const BREACH =
  'transformation failed from type gemini://llm/v1/chat: transformation generation candidate breached Gemini content safety';
const ANSWER_LIMIT = 16 * 1024 * 1024;

function translated(payload: Row, driver: Driver, model: Model): Row {
  try {
    return translateRequest(payload, driver, model, 'llm/v1/chat');
  } catch (error) {
    throw error instanceof TranslationProblem ? new RewriteFailure(error.message) : error;
  }
}

/** Models that know no system are told by a user. */
function instructed(prompt: string, text: string, model: string | null, provider: string) {
  if (provider === 'bedrock' && !takesSystemPrompts(model)) {
    return [
      { role: 'user', content: prompt },
      { role: 'assistant', content: 'What is the message?' },
      { role: 'user', content: text },
    ];
  }
  return [
    { role: 'system', content: prompt },
    { role: 'user', content: text },
  ];
}

function proxyOf(config: AskingConfig, scheme: 'http' | 'https'): string | null {
  const [host, port] =
    scheme === 'https'
      ? [config.https_proxy_host, config.https_proxy_port]
      : [config.http_proxy_host, config.http_proxy_port];
  return host === null ? null : `http://${host}:${port}`;
}

/** Whatever the case and line by line, as Kong matches it, and as the schema tries it. */
function compiled(pattern: string): Regex {
  const outcome = compilePattern(pattern, 'im');
  if (!outcome.ok) throw new Error(`'${pattern}' is no regular expression: ${outcome.problem}`);
  return outcome.regex;
}
