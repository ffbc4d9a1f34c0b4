import type { LazyTables } from '../config/lazy.ts';
import type { ResponseContext } from '../plugins/plugin.ts';
import { PluginFailure, PluginRun } from '../plugins/run.ts';
import { splitHost } from '../router/host.ts';
import type { RouterRequest } from '../router/request.ts';
import { defaultMessage, exitResponse } from './errors.ts';
import { type Forwarded, readForwarded } from './forwarded-headers.ts';
import type { Gateway } from './gateway.ts';
import { stripResponseHeaders } from './hop-by-hop.ts';
import { ClientBodyError } from './incoming-body.ts';
import { lingering } from './lingering.ts';
import { closing, malformed } from './malformed.ts';
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
  incoming: Request,
  arrival: Arrival,
  lazy: LazyTables,
): Promise<Response> {
  const client = runtime.clientAddress(arrival.peerIp, arrival.peerPort, incoming.headers);
  const context = new ProxyContext(incoming, arrival, lazy, client, runtime.clientBodyTimeout);
  const plugins = new PluginRun(gateway.plugins);
  let outcome: Outcome;
  try {
    outcome = await answer(gateway, runtime, context, arrival, plugins);
  } catch (error) {
    const broken = clientBodyError(error);
    outcome = broken === null ? unexpected(error) : own(await badBody(context, broken));
  }
  const answered = marked(runtime, context, outcome);
  const response = plugins.hasResponsePhase ? await changed(context, plugins, outcome, answered) : answered;
  if (plugins.hasLogPhase) {
    const seen: ResponseContext = { status: response.status, headers: response.headers, source: outcome.source };
    context.waitUntil(Promise.resolve().then(() => plugins.log(context, seen)));
  }
  // Every other request is spared a promise.
  return outcome.source === 'kong' && incoming.body !== null ? lingering(response, context) : response;
}

async function answer(
  gateway: Gateway,
  runtime: ProxyRuntime,
  context: ProxyContext,
  arrival: Arrival,
  plugins: PluginRun,
): Promise<Outcome> {
  const bad = malformed(context.incoming.headers);
  if (bad !== null) return own(await closing(context.error(400, bad), arrival.waitUntil));

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

function own(response: Response): Outcome {
  return { source: 'kong', response };
}

/** Set when the client's body broke off while the proxy, or a plugin, read it. */
function clientBodyError(error: unknown): ClientBodyError | null {
  const cause = error instanceof PluginFailure ? error.cause : error;
  return cause instanceof ClientBodyError ? cause : null;
}

async function badBody(context: ProxyContext, { status }: ClientBodyError): Promise<Response> {
  if (status === 400) return context.error(400, 'Bad request');
  return closing(context.error(status, defaultMessage(status)), (work) => context.waitUntil(work));
}

/** A plugin that threw, or a fault of our own: told to the log, not to the client. */
function unexpected(error: unknown): Outcome {
  console.error(error instanceof PluginFailure ? error.message : error);
  return own(exitResponse(500, { message: 'An unexpected error occurred' }));
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
      return value === null ? null : value.split(', ');
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
  const host = splitHost(context.incoming.headers.get('host') ?? '');
  return readForwarded(context.incoming.headers, context.client, {
    scheme: arrival.scheme,
    host: host.host.includes(':') ? `[${host.host}]` : host.host,
    port: host.port ?? arrival.localPort ?? (arrival.scheme === 'https' ? 443 : 80),
    path: context.rawPath,
  });
}

/** The answer with Kong's headers, and those plugins added, on it. */
function marked(runtime: ProxyRuntime, context: ProxyContext, outcome: Outcome): Response {
  const response = changeable(outcome.response, encodingOf(outcome));
  const { headers } = response;
  if (outcome.source === 'upstream') {
    const te = context.upstreamHeaders.has('te');
    stripResponseHeaders(headers, { upgrade: outcome.websocket ? 'websocket' : null, te });
    markProxied(headers, runtime.tokens, context, outcome.times, outcome.version);
  } else {
    markOwn(headers, runtime.tokens, context);
  }
  for (const [name, value] of context.addedHeaders) {
    if (name === 'set-cookie') headers.append(name, value);
    else headers.set(name, value);
  }
  return response;
}

/** The response with headers that may be changed: those of a fetch may not. */
function changeable(response: Response, encodeBody: 'automatic' | 'manual'): Response {
  const { status } = response;
  // A response copied as a whole costs half of one put together anew.
  if (encodeBody === 'automatic' && !BODYLESS.has(status)) return new Response(response.body, response);
  const { statusText, headers, webSocket } = response;
  if (status === 101) return new Response(null, { status, webSocket, headers });
  return new Response(BODYLESS.has(status) ? null : response.body, { status, statusText, headers, encodeBody });
}

function encodingOf(outcome: Outcome): 'automatic' | 'manual' {
  return outcome.source === 'upstream' && outcome.encoded ? 'manual' : 'automatic';
}

/** Statuses a Response with a body may not have. */
const BODYLESS = new Set([101, 204, 205, 304]);

/** The answer after the plugins' response phase. A plugin that throws turns it into a 500. */
async function changed(
  context: ProxyContext,
  plugins: PluginRun,
  outcome: Outcome,
  response: Response,
): Promise<Response> {
  const { headers } = response;
  const seen: ResponseContext = { status: response.status, headers, source: outcome.source };
  try {
    await plugins.response(context, seen);
  } catch (error) {
    await response.body?.cancel();
    const failed = unexpected(error).response;
    for (const [name, value] of failed.headers) headers.set(name, value);
    headers.delete('content-length');
    headers.delete('content-encoding');
    return new Response(failed.body, { status: 500, headers });
  }
  const { status } = seen;
  if (status === response.status) return response;
  const body = BODYLESS.has(status) ? null : response.body;
  return new Response(body, { status, headers, encodeBody: encodingOf(outcome) });
}
