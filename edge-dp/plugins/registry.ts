import acl from './acl.ts';
import acme from './acme.ts';
import aiPromptDecorator from './ai-prompt-decorator.ts';
import aiPromptGuard from './ai-prompt-guard.ts';
import aiPromptTemplate from './ai-prompt-template.ts';
import aiProxy from './ai-proxy.ts';
import aiRequestTransformer from './ai-request-transformer.ts';
import aiResponseTransformer from './ai-response-transformer.ts';
import awsLambda from './aws-lambda.ts';
import azureFunctions from './azure-functions.ts';
import basicAuth from './basic-auth.ts';
import botDetection from './bot-detection.ts';
import correlationId from './correlation-id.ts';
import cors from './cors.ts';
import datadog from './datadog.ts';
import fileLog from './file-log.ts';
import grpcGateway from './grpc-gateway.ts';
import grpcWeb from './grpc-web.ts';
import hmacAuth from './hmac-auth.ts';
import httpLog from './http-log.ts';
import ipRestriction from './ip-restriction.ts';
import jwt from './jwt.ts';
import keyAuth from './key-auth.ts';
import ldapAuth from './ldap-auth.ts';
import loggly from './loggly.ts';
import oauth2 from './oauth2.ts';
import opentelemetry from './opentelemetry.ts';
import postFunction from './post-function.ts';
import preFunction from './pre-function.ts';
import prometheus from './prometheus.ts';
import proxyCache from './proxy-cache.ts';
import rateLimiting from './rate-limiting.ts';
import redirect from './redirect.ts';
import requestSizeLimiting from './request-size-limiting.ts';
import requestTermination from './request-termination.ts';
import requestTransformer from './request-transformer.ts';
import responseRatelimiting from './response-ratelimiting.ts';
import responseTransformer from './response-transformer.ts';
import type { Plugin } from './runtime/plugin.ts';
import session from './session.ts';
import standardWebhooks from './standard-webhooks.ts';
import statsd from './statsd.ts';
import syslog from './syslog.ts';
import tcpLog from './tcp-log.ts';
import udpLog from './udp-log.ts';
import zipkin from './zipkin.ts';

/** Plugins this data plane can run, by name. A bundle that configures another is refused by name. */
export type PluginRegistry = ReadonlyMap<string, Plugin>;

// biome-ignore format: a plugin a line
const BUNDLED: readonly Plugin[] = [
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

const bundled: PluginRegistry = new Map(BUNDLED.map((plugin) => [plugin.name, plugin]));
const known = new Map(bundled);

/** The bundled ones, unless others were chosen. */
export const plugins: PluginRegistry = known;

/** Has this Worker run the bundled plugins of these names (null: all) and the operator's own. To be done before all else. */
export function choosePlugins(names: readonly string[] | null, own: readonly Plugin[]): void {
  for (const name of bundled.keys()) if (names?.includes(name) === false) known.delete(name);
  for (const plugin of own) known.set(plugin.name, plugin);
}

/** Whether only the control plane knows the schema of a plugin: one that came with the config, or the operator's own. */
export const isSentPlugin = (name: string): boolean => !bundled.has(name);

/** What the data plane says in its hello: plugin names with versions. */
export function pluginVersions(registry: PluginRegistry = plugins): Readonly<Record<string, string>> {
  return Object.fromEntries([...registry.values()].map((plugin) => [plugin.name, plugin.version]));
}
