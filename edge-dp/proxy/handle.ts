import type { LazyTables } from '../config/lazy.ts';
import { linesOf } from '../http/fields.ts';
import type { HttpResponse, IncomingRequest } from '../http/messages.ts';
import { andThen } from '../plugins/runtime/and-then.ts';
import type { QualifiedAnswer, Step } from '../plugins/runtime/plugin.ts';
import { ResponseReply } from '../plugins/runtime/reply.ts';
import { PluginFailure, PluginRun, rewrite } from '../plugins/runtime/run.ts';
import type { RouterRequest } from '../router/request.ts';
import { BodyTooLarge } from './egress/egress.ts';
import { defaultMessage } from './errors.ts';
import { ExchangeLog } from './exchange-log.ts';
import { requestWords } from './failure-line.ts';
import type { Gateway } from './gateway.ts';
import { admitToPlugins, stripResponseHeaders } from './hop-by-hop.ts';
import { ClientBodyError } from './incoming-body.ts';
import { isMalformed } from './malformed.ts';
import { exit, failed, type Outcome, served } from './outcome.ts';
import { checkProtocol } from './protocol-checks.ts';
import { proxy } from './proxy.ts';
import { ProxyContext } from './request-context.ts';
import type { Arrival } from './request-path.ts';
import { markOwn, markProxied } from './response-headers.ts';
import type { ProxyRuntime } from './runtime.ts';
import { upstreamTarget } from './upstream-request.ts';

/**
 * One request through one config, start to end: router, protocol checks, plugins, upstream, response phases, log. Not async, nor is
 * what it calls before it waits for somebody: each promise on this way costs every request.
 */
export function handle(
  gateway: Gateway,
  runtime: ProxyRuntime,
  incoming: IncomingRequest,
  arrival: Arrival,
  lazy: LazyTables,
  serial: number | null,
): Promise<HttpResponse> {
  const context = contextOf(gateway, runtime, incoming, arrival, lazy, serial);
  let outcome: Outcome | Promise<Outcome>;
  try {
    outcome = answer(gateway, runtime, context, arrival);
  } catch (error) {
    outcome = outcomeOf(context, error);
  }
  if (!(outcome instanceof Promise)) return answeredHere(runtime, context, outcome);
  return outcome.then(
    (known) => finished(runtime, context, known),
    (error: unknown) => finished(runtime, context, outcomeOf(context, error)),
  );
}

/** A request before anything was done with it. */
export function contextOf(
  gateway: Gateway,
  runtime: ProxyRuntime,
  incoming: IncomingRequest,
  arrival: Arrival,
  lazy: LazyTables,
  serial: number | null,
): ProxyContext {
  const { clientBodyTimeout, maxBodySize, errorDefaultType, trial } = runtime;
  return new ProxyContext(incoming, arrival, {
    lazy,
    serial,
    trial,
    groups: gateway.consumerGroups,
    workspaceNames: gateway.workspaceNames,
    authorities: gateway.authorities,
    upstreams: gateway.balancers,
    client: runtime.clientAddress(arrival.peerIp, arrival.peerPort, incoming.headers, arrival.proxied),
    port: arrival.localPort === null ? null : runtime.portOf(arrival.localPort),
    clientBodyTimeout,
    maxBodySize,
    errorDefaultType,
  });
}

/** Without anybody having been waited for. */
async function answeredHere(runtime: ProxyRuntime, context: ProxyContext, outcome: Outcome): Promise<HttpResponse> {
  return finished(runtime, context, outcome);
}

function answer(
  gateway: Gateway,
  runtime: ProxyRuntime,
  context: ProxyContext,
  arrival: Arrival,
): Outcome | Promise<Outcome> {
  const refused = isMalformed(context.incoming) ? 400 : context.body.tooLarge ? 413 : null;
  if (refused !== null) {
    usePlugins(gateway, runtime, context);
    const refusal = context.errorPage(refused);
    refusal.closing = true;
    return exit(refusal);
  }
  const refusal = arrival.tls === null ? null : arrival.tls.refusal;
  if (refusal !== null) {
    usePlugins(gateway, runtime, context);
    return exit(context.error(400, refusal));
  }
  const { plugins } = gateway;
  if (plugins.rewriting.length === 0) return answerByRoute(gateway, runtime, context, arrival);
  // What fails or ends here is still met by the later phases of global plugins.
  usePlugins(gateway, runtime, context);
  return rewrite(plugins.rewriting, context).then((early) =>
    early === undefined ? answerByRoute(gateway, runtime, context, arrival) : answeredBy(context, early),
  );
}

function answerByRoute(
  gateway: Gateway,
  runtime: ProxyRuntime,
  context: ProxyContext,
  arrival: Arrival,
): Outcome | Promise<Outcome> {
  if (context.incoming.method === 'TRACE') {
    usePlugins(gateway, runtime, context);
    return failed(context.errorPage(405));
  }

  const request = routerRequest(context, arrival);
  const match = gateway.router.match(request);
  const route = match === null ? undefined : gateway.routes.get(match.route.id);
  const { sampler } = runtime;
  if (sampler?.wants(route?.id ?? null, context.startedAt)) {
    const { fields, startedAt: now, incoming, forwarded } = context;
    const seen = { router: gateway.router, request, fields, route: route?.id ?? null, now };
    sampler.saw({ ...seen, forwardedProto: forwarded.proto, version: incoming.version }, (work) =>
      context.waitUntil(work),
    );
  }
  if (match === null || route === undefined) {
    usePlugins(gateway, runtime, context);
    return exit(context.error(404, 'no Route matched with those values'));
  }
  const mismatch = checkProtocol(context, route, context.forwarded);
  if (mismatch !== null) {
    // As in Kong it counts as matched by none: of plugins the global ones see it.
    usePlugins(gateway, runtime, context);
    return exit(mismatch);
  }
  context.route = route;
  context.service = route.service === null ? null : (gateway.services.get(route.service) ?? null);
  context.matchedPath = match.matchedPrefix;
  context.captures = match.captures;
  usePlugins(gateway, runtime, context);

  // With another method than GET it is no handshake (RFC 6455 section 4.1), and the runtime could not pass on a 101.
  const { fields, method, service } = context;
  const websocket = method === 'GET' && fields.get('upgrade')?.toLowerCase() === 'websocket';
  const send = (): Promise<Outcome> =>
    service === null
      ? Promise.resolve(exit(context.error(503, 'No Service found with those values')))
      : proxy(gateway, runtime, context, { route, service, match, websocket });
  if (context.plugins === null) return send();
  admitToPlugins(fields, context.incoming.fieldNames, context.client.trusted);
  context.send = send;
  if (context.log !== null)
    context.targetUpstream = () => upstreamTarget(context, route, service, match, runtime.flavor);
  return andThen<Awaited<Step<QualifiedAnswer>>, Outcome>(context.plugins.access(context), (early) => {
    if (early !== undefined) return answeredBy(context, early);
    return context.outcome ?? send();
  });
}

/** What a request came to that could not be answered as it should have been. */
function outcomeOf(context: ProxyContext, error: unknown): Outcome {
  const broken = clientBodyError(error);
  return broken === null ? unexpected(context, error) : exit(badBody(context, broken));
}

/** The answer behind the response phases, ready to be sent. */
function finished(
  runtime: ProxyRuntime,
  context: ProxyContext,
  outcome: Outcome,
): HttpResponse | Promise<HttpResponse> {
  const response = prepared(context, outcome);
  const done = (): HttpResponse => {
    mark(runtime, context, outcome, response);
    return response;
  };
  if (context.plugins === null && context.log === null) return done();
  return andThen(afterwards(context, outcome, response), done);
}

/** Chooses the plugins of the request as it is matched now. */
function usePlugins(gateway: Gateway, runtime: ProxyRuntime, context: ProxyContext): void {
  const chain = gateway.plugins.ofRoute(context.route);
  context.plugins = chain.idle ? null : new PluginRun(gateway.plugins, chain, context);
  const isLogged = chain.log.length > 0 || runtime.accessLog !== null || runtime.telemetry !== null;
  if (isLogged && context.log === null) {
    context.tries = [];
    context.log = new ExchangeLog(context, runtime);
  }
}

/** What a plugin's answer counts as. */
function answeredBy(context: ProxyContext, answer: QualifiedAnswer): Outcome {
  const { response, waited } = answer;
  if (context.outcome !== null && response === context.outcome.response) return context.outcome;
  return answer.served ? served(response, waited) : exit(response, waited);
}

/** Set when the client's body broke off while the proxy, or a plugin, read it. */
function clientBodyError(error: unknown): ClientBodyError | null {
  const cause = error instanceof PluginFailure ? error.cause : error;
  return cause instanceof ClientBodyError ? cause : null;
}

function badBody(context: ProxyContext, { status, message, cause }: ClientBodyError): HttpResponse {
  if (status === 400) return context.error(400, 'Bad request');
  const refusal = context.error(status, cause instanceof BodyTooLarge ? message : defaultMessage(status));
  refusal.closing = true;
  return refusal;
}

/** A plugin that threw, or a fault of our own: told to the log, not to the client. */
function unexpected(context: ProxyContext, error: unknown): Outcome {
  if (error instanceof PluginFailure) console.error(error.message);
  else console.error(`${requestWords(context)}:`, error);
  return failed(context.error(500));
}

/** What of a request routes are chosen by. */
export function routerRequest(context: ProxyContext, arrival: Arrival): RouterRequest {
  const { fields, method } = context;
  return {
    method,
    host: fields.get('host'),
    scheme: arrival.scheme,
    sni: arrival.sni,
    path: context.rawPath,
    query: context.query,
    header: (name) => linesOf(fields, name),
    wholeHeader: (name) => (fields.eachLine === undefined ? fields.get(name) : null),
    sourceIp: context.client.ip === '' ? null : context.client.ip,
    sourcePort: context.client.port,
    destinationIp: arrival.localIp,
    destinationPort: context.port,
    edge: arrival.edge,
  };
}

/** The answer as the response phase is to see it: with the headers that plugins added, without those of a connection. */
function prepared(context: ProxyContext, outcome: Outcome): HttpResponse {
  const { response } = outcome;
  const { headers } = response;
  if (outcome.source === 'upstream') {
    const te = context.sentHeaders?.has('te') === true;
    stripResponseHeaders(headers, { upgrade: outcome.websocket ? 'websocket' : null, te });
    if (context.plugins?.asksForReceived === true) {
      context.received = { status: outcome.times.status, headers: context.incoming.copyOf(headers) };
    }
    context.addedHeaders?.precede(headers);
  } else context.addedHeaders?.complete(headers);
  return response;
}

/** Puts the gateway's own headers on: after all plugins, which cannot take them away. */
function mark(runtime: ProxyRuntime, context: ProxyContext, outcome: Outcome, { headers }: HttpResponse): void {
  if (outcome.source === 'upstream')
    markProxied(headers, runtime.tokens, context, outcome.times, outcome.version, outcome.via);
  else if (outcome.times === null) markOwn(headers, runtime.tokens, context, outcome.waited);
  else markProxied(headers, runtime.tokens, context, outcome.times, '1.1', null);
}

/** The response phase, and the log phase once the answer has gone. A plugin that throws in the first turns it into a 500. */
function afterwards(context: ProxyContext, outcome: Outcome, response: HttpResponse): undefined | Promise<undefined> {
  const { plugins } = context;
  const answered = (reply: ResponseReply): undefined => {
    context.answered = true;
    context.log?.answered(outcome, reply);
  };
  if (plugins?.answers !== true && context.log === null) {
    context.answered = true;
    return undefined;
  }
  const source = outcome.source === 'kong' ? outcome.kind : 'service';
  const reply = new ResponseReply(response, source, (work) => context.waitUntil(work));
  const failedInstead = (error: unknown): undefined => {
    reply.answer(unexpected(context, error).response, 'error');
    return answered(reply);
  };
  let step: undefined | Promise<undefined>;
  try {
    step = plugins?.response(context, reply);
  } catch (error) {
    return failedInstead(error);
  }
  return step === undefined ? answered(reply) : step.then(() => answered(reply), failedInstead);
}
