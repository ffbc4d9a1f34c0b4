import type { AwsLambdaConfig } from '../../shared/plugins/aws-lambda.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { type HttpResponse, OwnResponse } from '../http/messages.ts';
import { readBody } from '../http/read-body.ts';
import {
  assumedRole,
  type CredentialSource,
  givenCredentials,
  kept,
  nodeCredentials,
  variable,
} from './aws/credentials.ts';
import { eventOf } from './aws/event.ts';
import { proxyResponse } from './aws/proxy-response.ts';
import { functionAnswer } from './function-answer.ts';
import { type PluginSite, tellProblem } from './problem-line.ts';
import { type Plugin, waitedFor } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import type { Services } from './runtime/services.ts';
import { signatureHeaders } from './signature-v4.ts';

/** Bytes of a body that goes to a function: what Lambda takes, and what is sent while `skip_large_bodies` is on. */
const LARGEST_EVENT = 6 << 20;
const LARGE_BODY = 1 << 20;
/** Bytes of a function's answer that is read: what Lambda gives, and as base64 in JSON. */
const LARGEST_ANSWER = 16 << 20;
const NOTHING = new Uint8Array();

/** Answers requests with an AWS Lambda function. */
const awsLambda: Plugin<AwsLambdaConfig> = {
  name: 'aws-lambda',
  version: KONG_VERSION,
  priority: 750,
  compile(config, place, services) {
    const site = { plugin: 'aws-lambda', place };
    const region = regionOf(config, services);
    const credentials = credentialsOf(config, services, region);
    const path = `/2015-03-31/functions/${escaped(config.function_name ?? '')}/invocations`;
    const query = config.qualifier === null ? '' : `Qualifier=${escaped(config.qualifier)}`;
    const scheme = config.disable_https ? 'http' : 'https';

    async function invoke(event: string): Promise<HttpResponse> {
      const here = await region();
      const host = config.host ?? `lambda.${here}.amazonaws.com`;
      const url = new URL(`${scheme}://${host.includes(':') ? `[${host}]` : host}:${config.port ?? 443}`);
      const body = new TextEncoder().encode(event);
      const { accessKeyId, secretAccessKey, sessionToken } = await credentials();
      const key = { accessKeyId, secretAccessKey, sessionToken, region: here, service: 'lambda' };
      const signed = await signatureHeaders({ method: 'POST', host: url.host, path, query, body }, key, Date.now());
      return services.fetch({
        url: `${url.origin}${path}${query === '' ? '' : `?${query}`}`,
        method: 'POST',
        headers: {
          ...signed,
          'X-Amz-Invocation-Type': config.invocation_type,
          'X-Amz-Log-Type': config.log_type,
        },
        body,
        timeout: config.timeout,
        proxy: config.proxy_url,
      });
    }

    return {
      async access(request) {
        if (config.function_name === null) throw new Error('there is no function_name');
        const event = JSON.stringify(eventOf(config, request, await bodyOf(config, services, site, request)));
        const began = Date.now();
        const response = await invoke(event);
        if (response.status >= 400) {
          const said = await textOf(response, LARGEST_ANSWER);
          throw new Error(`Lambda answered ${response.status}: ${said?.slice(0, 300) ?? ''}`);
        }
        if (!config.is_proxy_integration) {
          const unhandled = response.headers.get('x-amz-function-error') === 'Unhandled';
          if (unhandled && config.unhandled_status !== null) response.status = final(config.unhandled_status);
          await withoutQuotes(response);
          return waitedFor(functionAnswer(response, services.via), Date.now() - began);
        }
        const text = await textOf(response, LARGEST_ANSWER);
        const waited = Date.now() - began;
        const answer = text === null ? `more than ${LARGEST_ANSWER} bytes` : proxyResponse(text);
        if (typeof answer === 'string') {
          tellProblem(services, site, request, answer);
          const error = `could not JSON decode Lambda function response: ${answer}`;
          return waitedFor(request.exit(502, { message: 'Bad Gateway', error }), waited);
        }
        const { status, headers, body } = answer;
        for (const name of new Set(response.headers.keys())) {
          if (name !== 'content-length' && !headers.has(name)) headers.set(name, response.headers.get(name) ?? '');
        }
        // As bytes: of a text without a Content-Type it would be said that it is plain.
        const content = typeof body === 'string' ? new TextEncoder().encode(body) : body;
        const own = new OwnResponse(status, BODYLESS.has(status) ? null : content, headers);
        return waitedFor(functionAnswer(own, services.via), waited);
      },
    };
  },
};

export default awsLambda;

/** The schema takes what no answer can have; as in Kong, such answers fail. */
function final(status: number): number {
  if (status < 200 || status > 599) throw new Error(`unhandled_status ${status} is the status of no answer`);
  return status;
}

const BODYLESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** Of the config, or of the node's environment. */
function regionOf({ aws_region: given }: AwsLambdaConfig, services: Services): () => Promise<string> {
  return async () => {
    const region =
      given ?? (await variable(services, 'AWS_REGION')) ?? (await variable(services, 'AWS_DEFAULT_REGION'));
    if (region === null) throw new Error('no region specified: neither aws_region nor AWS_REGION is set');
    return region;
  };
}

function credentialsOf(config: AwsLambdaConfig, services: Services, region: () => Promise<string>): CredentialSource {
  const { aws_key: id, aws_secret: secret, aws_assume_role_arn: arn } = config;
  const base =
    id !== null && secret !== null
      ? givenCredentials(id, secret)
      : kept(nodeCredentials(services, config.aws_imds_protocol_version), services.log);
  if (arn === null) return base;
  const role = { arn, session: config.aws_role_session_name ?? 'kong', endpoint: config.aws_sts_endpoint_url };
  return kept(assumedRole(services, base, role, region), services.log);
}

/** What of the request's body the event is made of; empty where it is too long. */
async function bodyOf(
  config: AwsLambdaConfig,
  services: Services,
  site: PluginSite,
  request: GatewayRequest,
): Promise<Uint8Array> {
  if (request.body.length === 0) return NOTHING;
  const limit = config.skip_large_bodies === false ? LARGEST_EVENT : LARGE_BODY;
  const body = await request.body.read(limit);
  if (body === null) tellProblem(services, site, request, `the body is left out, it is longer than ${limit} bytes`);
  return body ?? NOTHING;
}

/** A function that gives a text answers with JSON, as all do: the client gets the text itself, as with Kong. */
async function withoutQuotes(response: HttpResponse): Promise<void> {
  const { headers } = response;
  if (!JSON_TYPE.test(headers.get('content-type') ?? '') || headers.has('content-encoding')) return;
  const text = await textOf(response, LARGEST_ANSWER);
  if (text === null) throw new Error(`Lambda answered with more than ${LARGEST_ANSWER} bytes`);
  headers.delete('content-length');
  response.content = null;
  if (BODYLESS.has(response.status)) return;
  const body = new TextEncoder().encode(unquoted(text));
  response.content = body;
  headers.set('Content-Length', String(body.length));
}

const JSON_TYPE = /application\/.*json/i;

function unquoted(text: string): string {
  if (!text.trimStart().startsWith('"')) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}

async function textOf({ content }: HttpResponse, limit: number): Promise<string | null> {
  if (content === null || typeof content === 'string') return content ?? '';
  if (content instanceof Uint8Array) return new TextDecoder().decode(content);
  const { bytes, rest } = await readBody(content.stream(), limit);
  await rest?.cancel();
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

/** In a path or query; the colons of an ARN stay. */
function escaped(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%3A', ':')
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
