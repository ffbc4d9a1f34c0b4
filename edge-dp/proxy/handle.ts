import type { LazyTables } from '../config/lazy.ts';
import { splitLines } from '../http/fields.ts';
import type { HttpResponse, IncomingRequest } from '../http/messages.ts';
import type { ResponseContext } from '../plugins/plugin.ts';
import { PluginFailure, PluginRun } from '../plugins/run.ts';
import { splitHost } from '../router/host.ts';
import type { RouterRequest } from '../router/request.ts';
import { defaultMessage, errorPage } from './errors.ts';
import { type Forwarded, readForwarded } from './forwarded-headers.ts';
import type { Gateway } from './gateway.ts';
import { stripResponseHeaders } from './hop-by-hop.ts';
import { ClientBodyError } from './incoming-body.ts';
import { isMalformed } from './malformed.ts';
import { checkProtocol } from './protocol-checks.ts';
import { type Outcome, proxy } from './proxy.ts';
import { ProxyContext } from './request-context.ts';
import type { Arrival } from './request-path.ts';
import { markOwn, markProxied } from './response-headers.ts';
import type { ProxyRuntime } from './runtime.ts';
import { prepareUpstreamHeaders } from './upstream-request.ts';

/** One request through one config, start to end: router, protocol checks, plugins, upstream, response phases, log. */
export async function handle(
  gateway: Gateway,
  runtime: ProxyRuntime,
  incoming: IncomingRequest,
  arrival: Arrival,
  lazy: LazyTables,
): Promise<HttpResponse> {
  const client = runtime.clientAddress(arrival.peerIp, arrival.peerPort, incoming.headers);
  const context = new ProxyContext(incoming, arrival, lazy, client, runtime.clientBodyTimeout);
  const plugins = new PluginRun(gateway.plugins);
  let outcome: Outcome;
  try {
    outcome = await answer(gateway, runtime, context, arrival, plugins);
  } catch (error) {
    const broken = clientBodyError(error);
    outcome = broken === null ? unexpected(context, error) : own(badBody(context, broken));
  }
  const answered = marked(runtime, context, outcome);
  const response = plugins.hasResponsePhase ? await changed(context, plugins, outcome, answered) : answered;
  if (plugins.hasLogPhase) {
    const seen: ResponseContext = { status: response.status, headers: response.headers, source: outcome.source };
    context.waitUntil(Promise.resolve().then(() => plugins.log(context, seen)));
  }
  return response;
}

async function answer(
  gateway: Gateway,
  runtime: ProxyRuntime,
  context: ProxyContext,
  arrival: Arrival,
  plugins: PluginRun,
): Promise<Outcome> {
  if (isMalformed(context.incoming)) {
    const refusal = errorPage(runtime.errorDefaultType, context, 400);
    refusal.closing = true;
    return own(refusal);
  }
  if (context.incoming.method === 'TRACE') {
    plugins.collect(context);
    return own(errorPage(runtime.errorDefaultType, context, 405));
  }

  const match = gateway.router.match(routerRequest(context, arrival));
  const route = match === null ? undefined : gateway.routes.get(match.route.id);
  if (match === null || route === undefined) {
    plugins.collect(context);
    return own(context.error(404, 'no Route matched with those values'));
  }
  context.route = route;
  context.service = route.service === null ? null : (gateway.services.get(route.service) ?? null);

  const forwarded = forwardedOf(context, arrival);
  const mismatch = checkProtocol(context, route, forwarded);
  if (mismatch !== null) {
    plugins.collect(context);
    return own(mismatch);
  }

  // With another method than GET it is no handshake (RFC 6455 section 4.1), and the runtime could not pass on a 101.
  const { headers, method } = context.incoming;
  const websocket = method === 'GET' && headers.get('upgrade')?.toLowerCase() === 'websocket';
  prepareUpstreamHeaders(context, route, match, forwarded, { requestId: runtime.sendRequestId });
  if (plugins.has(context)) {
    const early = await plugins.access(context);
    if (early !== undefined) return own(early);
  }
  if (context.service === null) return own(context.error(503, 'No Service found with those values'));
  return proxy(gateway, runtime, context, { route, service: context.service, match, websocket });
}

function own(response: HttpResponse): Outcome {
  return { source: 'kong', response };
}

/** Set when the client's body broke off while the proxy, or a plugin, read it. */
function clientBodyError(error: unknown): ClientBodyError | null {
  const cause = error instanceof PluginFailure ? error.cause : error;
  return cause instanceof ClientBodyError ? cause : null;
}

function badBody(context: ProxyContext, { status }: ClientBodyError): HttpResponse {
  if (status === 400) return context.error(400, 'Bad request');
  const refusal = context.error(status, defaultMessage(status));
  refusal.closing = true;
  return refusal;
}

/** A plugin that threw, or a fault of our own: told to the log, not to the client. */
function unexpected(context: ProxyContext, error: unknown): Outcome {
  console.error(error instanceof PluginFailure ? error.message : error);
  return own(context.error(500, defaultMessage(500)));
}

function routerRequest(context: ProxyContext, arrival: Arrival): RouterRequest {
  const { headers, method } = context.incoming;
  return {
    method,
    host: headers.get('host'),
    scheme: arrival.scheme,
    sni: arrival.sni,
    path: context.rawPath,
    query: context.query,
    header(name: string): readonly string[] | null {
      const value = headers.get(name);
      return value === null ? null : splitLines(value);
    },
    wholeHeader: (name) => headers.get(name),
    sourceIp: context.client.ip === '' ? null : context.client.ip,
    sourcePort: context.client.port,
    destinationIp: null,
    destinationPort: arrival.localPort,
    edge: arrival.edge,
  };
}

function forwardedOf(context: ProxyContext, arrival: Arrival): Forwarded {
  const { host } = splitHost(context.incoming.headers.get('host') ?? '');
  return readForwarded(context.incoming.headers, context.client, {
    scheme: arrival.scheme,
    host: host.includes(':') ? `[${host}]` : host,
    port: arrival.localPort ?? (arrival.scheme === 'https' ? 443 : 80),
    path: context.rawPath,
  });
}

/** The answer with Kong's headers, and those plugins added, on it. */
function marked(runtime: ProxyRuntime, context: ProxyContext, outcome: Outcome): HttpResponse {
  const { response } = outcome;
  const { headers } = response;
  if (outcome.source === 'upstream') {
    const te = context.upstreamHeaders.has('te');
    stripResponseHeaders(headers, { upgrade: outcome.websocket ? 'websocket' : null, te });
    markProxied(headers, runtime.tokens, context, outcome.times, outcome.version);
  } else {
    markOwn(headers, runtime.tokens, context);
  }
  context.addedHeaders?.overlay(headers);
  return response;
}

/** The answer after the plugins' response phase. A plugin that throws turns it into a 500. */
async function changed(
  context: ProxyContext,
  plugins: PluginRun,
  outcome: Outcome,
  response: HttpResponse,
): Promise<HttpResponse> {
  const { headers } = response;
  const seen: ResponseContext = { status: response.status, headers, source: outcome.source };
  try {
    await plugins.response(context, seen);
  } catch (error) {
    const failed = unexpected(context, error).response;
    for (const [name, value] of failed.headers) headers.set(name, value);
    headers.delete('content-length');
    headers.delete('content-encoding');
    response.status = failed.status;
    response.content = failed.content;
    return response;
  }
  response.status = seen.status;
  return response;
}
