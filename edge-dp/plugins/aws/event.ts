import type { AwsLambdaConfig } from '../../../shared/plugins/aws-lambda.ts';
import { isRecord } from '../../../shared/record.ts';
import { encodeBase64 } from '../../http/base64.ts';
import { pathUpstream } from '../path-upstream.ts';
import { argumentTable, bodyTable, headerTable } from '../request-tables.ts';
import type { GatewayRequest } from '../runtime/request.ts';

type EventConfig = Pick<
  AwsLambdaConfig,
  | 'awsgateway_compatible'
  | 'base64_encode_body'
  | 'forward_request_body'
  | 'forward_request_headers'
  | 'forward_request_method'
  | 'forward_request_uri'
>;

/** What a function gets of a request: as API Gateway's proxy integration says it, or what the config chooses. */
export function eventOf(config: EventConfig, request: GatewayRequest, body: Uint8Array): unknown {
  if (config.awsgateway_compatible) return gatewayEvent(request, body, config.base64_encode_body ?? true);
  const { forward_request_body: withBody, forward_request_uri: withUri } = config;
  const { forward_request_headers: withHeaders, forward_request_method: withMethod } = config;
  if (!withBody && !withUri && !withHeaders && !withMethod) return mergedArguments(request, body);
  return {
    ...(withMethod && { request_method: request.method }),
    ...(withHeaders && { request_headers: headerTable(request.headers) }),
    ...(withUri && {
      request_uri: request.query === '' ? request.rawPath : `${request.rawPath}?${request.query}`,
      request_uri_args: argumentTable(request.query),
    }),
    ...(withBody && chosenBody(request, body, config.base64_encode_body ?? true)),
  };
}

/** Kong's oldest form: arguments of query and body, those of the body last. */
function mergedArguments(request: GatewayRequest, body: Uint8Array): unknown {
  const query = argumentTable(request.query);
  const read = bodyTable(request.headers.get('content-type'), body);
  if (read.kind !== 'table') return query;
  const { value } = read;
  if (Array.isArray(value) && request.query === '') return value;
  return isRecord(value) || Array.isArray(value) ? { ...query, ...value } : query;
}

/** Types whose bodies are text, as they stand in Content-Type, parameters and all. */
const TEXTS: ReadonlySet<string> = new Set([
  'text/plain',
  'text/html',
  'application/xml',
  'text/xml',
  'application/soap+xml',
]);

function chosenBody({ headers }: GatewayRequest, body: Uint8Array, base64: boolean) {
  const type = headers.get('content-type');
  const read = bodyTable(type, body);
  const encodes = read.kind === 'unknown' && base64 && (type === null || !TEXTS.has(type));
  return {
    ...(encodes && { request_body_base64: true }),
    // Without a body there is none, but where Kong encodes what it does not know.
    ...((encodes || body.length > 0) && {
      request_body: encodes ? encodeBase64(body) : new TextDecoder().decode(body),
    }),
    ...(read.kind === 'unknown' && { request_body_args: {} }),
    ...(read.kind === 'table' &&
      typeof read.value === 'object' &&
      read.value !== null && { request_body_args: read.value }),
  };
}

/** Version 1.0 of API Gateway's payload; what Kong has no counterpart of (stage, account, resource…) is not there. */
function gatewayEvent(request: GatewayRequest, body: Uint8Array, base64: boolean) {
  const headers = headerTable(request.headers);
  const query = argumentTable(request.query);
  const path = pathUpstream(request);
  const [host = ''] = (request.headers.get('host') ?? '').split(/:\d*$/);
  return {
    version: '1.0',
    path,
    httpMethod: request.method,
    headers: mapped(headers, first),
    multiValueHeaders: lists(headers),
    pathParameters: request.captures.named,
    queryStringParameters: mapped(query, first),
    multiValueQueryStringParameters: lists(query),
    body: base64 ? encodeBase64(body) : body.length === 0 ? undefined : new TextDecoder().decode(body),
    isBase64Encoded: base64,
    requestContext: {
      path,
      protocol: `HTTP/${request.incoming.version}`,
      httpMethod: request.method,
      domainName: host,
      domainPrefix: host.split('.', 1)[0],
      identity: { sourceIp: request.client.peerIp, userAgent: first(headers['user-agent']) },
      requestId: request.id,
      requestTime: clfTime(new Date(request.startedAt)),
      requestTimeEpoch: request.startedAt,
      resourcePath: path,
    },
  };
}

function first(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : value;
}

function lists(table: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return mapped(table, (value) => (Array.isArray(value) ? value : [value]));
}

function mapped(table: Readonly<Record<string, unknown>>, change: (value: unknown) => unknown) {
  return Object.fromEntries(Object.entries(table).map(([name, value]) => [name, change(value)]));
}

/** `02/Jan/2026:03:04:05 +0000`. */
function clfTime(date: Date): string {
  const [, day, month, year, time] = /^\w+, (\d+) (\w+) (\d+) ([\d:]+)/.exec(date.toUTCString()) ?? [];
  return `${day}/${month}/${year}:${time} +0000`;
}
