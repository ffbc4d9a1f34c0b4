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
  return finish(runtime, context, plugins, outcome);
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

  const websocket = context.incoming.headers.get('upgrade')?.toLowerCase() === 'websocket';
  prepareUpstreamHeaders(context, route, match, forwarded, { requestId: runtime.sendRequestId });
  const early = await plugins.access(context);
  if (early !== undefined) return own(early);
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
  const question = context.rawTarget.indexOf('?');
  return {
    method,
    host: headers.get('host'),
    scheme: arrival.scheme,
    sni: arrival.sni,
    path: context.rawPath,
    query: question < 0 ? '' : context.rawTarget.slice(question + 1),
    header(name: string): readonly string[] | null {
      const value = headers.get(name);
      return value === null ? null : value.split(', ');
    },
    sourceIp: context.client.ip === '' ? null : context.client.ip,
    sourcePort: context.client.port,
    destinationIp: null,
    destinationPort: arrival.localPort,
    ...(arrival.edge && { edge: arrival.edge }),
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

/** Response phase, Kong's headers, log phase. A plugin that throws here turns the answer into a 500. */
async function finish(
  runtime: ProxyRuntime,
  context: ProxyContext,
  plugins: PluginRun,
  outcome: Outcome,
): Promise<Response> {
  const { response } = outcome;
  const headers = new Headers(response.headers);
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
  const seen: ResponseContext = { status: response.status, headers, source: outcome.source };
  let body = response.body;
  try {
    await plugins.response(context, seen);
  } catch (error) {
    await body?.cancel();
    const failed = unexpected(error).response;
    for (const [name, value] of failed.headers) headers.set(name, value);
    headers.delete('content-length');
    headers.delete('content-encoding');
    seen.status = 500;
    body = failed.body;
  }
  if (plugins.hasLogPhase) context.waitUntil(Promise.resolve().then(() => plugins.log(context, seen)));
  if (response.webSocket !== null && seen.status === 101)
    return new Response(null, { status: 101, webSocket: response.webSocket, headers });
  const bodyless = seen.status === 204 || seen.status === 205 || seen.status === 304;
  const statusText = seen.status === response.status ? response.statusText : '';
  const encodeBody = outcome.source === 'upstream' && outcome.encoded ? 'manual' : 'automatic';
  return new Response(bodyless ? null : body, { status: seen.status, statusText, headers, encodeBody });
}
