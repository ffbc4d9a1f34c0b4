import { noConsumerGroup } from '../schema/kinds.ts';
import type { Fields, PluginSchema } from '../schema/vocabulary.ts';
import { acl } from './acl.ts';
import { acme } from './acme.ts';
import { aiPromptDecorator } from './ai-prompt-decorator.ts';
import { aiPromptGuard } from './ai-prompt-guard.ts';
import { aiPromptTemplate } from './ai-prompt-template.ts';
import { aiProxy } from './ai-proxy.ts';
import { aiRequestTransformer } from './ai-request-transformer.ts';
import { aiResponseTransformer } from './ai-response-transformer.ts';
import { awsLambda } from './aws-lambda.ts';
import { azureFunctions } from './azure-functions.ts';
import { basicAuth } from './basic-auth.ts';
import { botDetection } from './bot-detection.ts';
import { correlationId } from './correlation-id.ts';
import { cors } from './cors.ts';
import { datadog } from './datadog.ts';
import { fileLog } from './file-log.ts';
import { grpcGateway } from './grpc-gateway.ts';
import { grpcWeb } from './grpc-web.ts';
import { hmacAuth } from './hmac-auth.ts';
import { httpLog } from './http-log.ts';
import { ipRestriction } from './ip-restriction.ts';
import { jwt } from './jwt.ts';
import { keyAuth } from './key-auth.ts';
import { ldapAuth } from './ldap-auth.ts';
import { loggly } from './loggly.ts';
import { oauth2 } from './oauth2.ts';
import { opentelemetry } from './opentelemetry.ts';
import { postFunction } from './post-function.ts';
import { preFunction } from './pre-function.ts';
import { prometheus } from './prometheus.ts';
import { proxyCache } from './proxy-cache.ts';
import { rateLimiting } from './rate-limiting.ts';
import { redirect } from './redirect.ts';
import { requestSizeLimiting } from './request-size-limiting.ts';
import { requestTermination } from './request-termination.ts';
import { requestTransformer } from './request-transformer.ts';
import { responseRatelimiting } from './response-ratelimiting.ts';
import { responseTransformer } from './response-transformer.ts';
import { session } from './session.ts';
import { standardWebhooks } from './standard-webhooks.ts';
import { statsd } from './statsd.ts';
import { syslog } from './syslog.ts';
import { tcpLog } from './tcp-log.ts';
import { udpLog } from './udp-log.ts';
import { zipkin } from './zipkin.ts';

const all: readonly PluginSchema[] = [
  acl,
  acme,
  aiPromptDecorator,
  aiPromptGuard,
  aiPromptTemplate,
  aiProxy,
  aiRequestTransformer,
  aiResponseTransformer,
  awsLambda,
  azureFunctions,
  basicAuth,
  botDetection,
  correlationId,
  cors,
  datadog,
  fileLog,
  grpcGateway,
  grpcWeb,
  hmacAuth,
  httpLog,
  ipRestriction,
  jwt,
  keyAuth,
  ldapAuth,
  loggly,
  oauth2,
  opentelemetry,
  postFunction,
  preFunction,
  prometheus,
  proxyCache,
  rateLimiting,
  redirect,
  requestSizeLimiting,
  requestTermination,
  requestTransformer,
  responseRatelimiting,
  responseTransformer,
  session,
  standardWebhooks,
  statsd,
  syslog,
  tcpLog,
  udpLog,
  zipkin,
];

const known = new Map(all.map(entryOf));

/** Every plugin the control plane knows, by name. */
export const plugins: ReadonlyMap<string, PluginSchema> = known;

/** The names of those that are part of this project. */
export const bundledPlugins: ReadonlySet<string> = new Set(known.keys());

/** Adds plugins of the operator's own. To be done once, before anything is made of the registry. */
export function addPlugins(own: readonly PluginSchema[]): void {
  for (const plugin of own) known.set(...entryOf(plugin));
}

function entryOf(plugin: PluginSchema): [string, PluginSchema] {
  return [plugin.name, { ...plugin, fields: boundLikeConsumers(plugin.fields) }];
}

/** What cannot be bound to a consumer, such as a plugin that finds out who it is, cannot be bound to a group of them either. */
function boundLikeConsumers(fields: Fields): Fields {
  const { consumer } = fields;
  const unbound = consumer?.type === 'foreign' && consumer.eq === null;
  return unbound ? { ...fields, consumer_group: noConsumerGroup } : fields;
}
