import type { Balancer } from '../balancer/balancer.ts';
import { hashKey } from '../balancer/hash-key.ts';
import { onlyPeer, type PeerPicker } from '../balancer/peers.ts';
import type { Try } from '../plugins/runtime/exchange.ts';
import type { UpstreamChoice } from '../plugins/runtime/request.ts';
import type { Captures } from '../router/capture.ts';
import type { UpstreamFailure, UpstreamResult } from './egress/egress.ts';
import type { Route, Service } from './entities.ts';
import { errorPage } from './errors.ts';
import { requestWords } from './failure-line.ts';
import type { Gateway } from './gateway.ts';
import { exit, failed, type Outcome } from './outcome.ts';
import type { ProxyContext } from './request-context.ts';
import { isIdempotent, mayRetry, REPLAYABLE_BODY, statusOf } from './retry.ts';
import type { ProxyRuntime } from './runtime.ts';
import { type MatchedPath, type Peer, upstreamHeaders, upstreamRequest, upstreamTarget } from './upstream-request.ts';
import { chosenTls } from './upstream-tls.ts';

interface Matched {
  readonly route: Route;
  readonly service: Service;
  readonly match: MatchedPath & { readonly captures: Captures };
  readonly websocket: boolean;
}

/** Sends the request to the service, trying further peers as `service.retries` allows. */
export async function proxy(
  gateway: Gateway,
  runtime: ProxyRuntime,
  context: ProxyContext,
  matched: Matched,
): Promise<Outcome> {
  const { choice } = context;
  const { route } = matched;
  const service = choice === null ? matched.service : chosenService(matched.service, choice);
  const { host, port } = service;
  const balancer = gateway.balancers.of(service) ?? runtime.serviceHosts?.of(host, port);
  const lookedUpAt = context.tries === null ? 0 : Date.now();
  const resolving = balancer?.resolve((work) => context.waitUntil(work)) ?? null;
  if (resolving !== null) await resolving;
  if (context.tries !== null && balancer !== undefined && balancer.names.length > 0)
    context.lookedUp = { balancer, start: lookedUpAt, end: Date.now() };
  const peers =
    balancer === undefined ? onlyPeer(service) : balancedPeers(gateway, runtime, context, matched, balancer);
  const own = gateway.tls(matched.service, peers.clientCertificate);
  const tls = 'missing' in own ? own : choice === null ? own : chosenTls(own, choice);
  if ('missing' in tls) {
    const { missing, reason } = tls;
    return refused(context, `service ${service.name ?? service.id} needs ${missing}`, reason);
  }
  const { current } = context.body;
  // What plugins have made, or read, has a length: the way out says whether it can carry that.
  if (context.method === 'HEAD' && current.kind === 'incoming' && !runtime.carries({ method: 'HEAD', body: current }))
    return exit(context.error(411, 'Length required'));
  if (isKeptForRetry(context, route, service, peers)) await context.body.read(REPLAYABLE_BODY);
  const target = upstreamTarget(context, route, service, matched.match, runtime.flavor);
  const headers = upstreamHeaders(context, route, matched.match, { requestId: runtime.sendRequestId });
  context.sentTarget = target;
  context.sentHeaders = headers;
  const sentAt = Date.now();
  context.sentAt = sentAt;

  let failure: UpstreamFailure;
  let began = sentAt;
  const { closedByClient } = runtime;
  const hasLeft = closedByClient === null ? undefined : () => closedByClient(context.arrival);
  let peer: Peer | null = null;
  for (let left = service.retries, again = false; ; ) {
    const startedAt = context.tries === null ? 0 : Date.now();
    if (!again) peer = peers.next();
    if (peer === null) {
      console.warn(`${requestWords(context)}: ${peers.refusal}`);
      return failed(context.error(503, peers.refusal));
    }
    const attempted = context.tries === null ? null : attemptAt(peer, startedAt);
    if (attempted !== null) context.tries?.push(attempted);
    const body = context.body.current;
    const request = upstreamRequest(context, {
      service,
      route,
      peer,
      target,
      headers,
      body,
      tls,
      websocket: matched.websocket,
      followed: peers.followed,
      hasLeft,
    });
    const result = await runtime.egress.send(request);
    if (attempted !== null) tellOutcome(attempted, result);
    if (result.kind === 'response') {
      const { version } = request;
      const { response } = result;
      const times = { sentAt, headAt: Date.now(), status: response.status };
      peers.answered(response);
      const via = response.headers.get('via');
      return { source: 'upstream', response, times, version, websocket: matched.websocket, via };
    }
    // A name that leads nowhere is no try: nobody was asked.
    if (result.failure.code === 'dns') context.tries?.pop();
    failure = (await isForNobody(context, began, hasLeft))
      ? { ...result.failure, code: 'client_left' }
      : result.failure;
    began = Date.now();
    const repeatable = mayRetry(failure, request.method, body);
    // nginx does not count that as a try either; it is no reason to bother another target with it.
    again = failure.stale === true && repeatable && !again;
    if (again) {
      context.tries?.pop();
      continue;
    }
    const last = !repeatable || left === 0;
    peers.failed(failure, last);
    if (last) break;
    left -= 1;
  }
  context.clientGone = failure.code === 'client_left';
  // Clients leave all the time, and over HTTP/2 a thousand times on one connection: that is nothing to warn of.
  const tell = context.clientGone ? console.info : console.warn;
  tell(`${requestWords(context, peer)}: ${failure.code}: ${failure.message}`);
  if (failure.code === 'unsupported')
    return refused(context, `service ${service.name ?? service.id} asks for what it cannot do: ${failure.message}`);
  if (failure.code === 'dns') return failed(context.error(503, 'name resolution failed'));
  if (failure.code === 'client_too_large')
    return exit(context.error(context.body.limited?.status ?? 413, failure.message));
  const status = statusOf(failure);
  const page = errorPage(runtime.errorDefaultType, context, status);
  page.closing = failure.code === 'client_timeout';
  return failed(page, status === 502 || status === 504 ? { sentAt, headAt: Date.now(), status } : null);
}

/** Milliseconds after which a client may have run out of patience. */
const PATIENCE = 500;

/** Whether nobody waits any more: then nothing is tried again, and no target is blamed. `since`: when the attempt began. */
async function isForNobody(
  { incoming }: ProxyContext,
  since: number,
  hasLeft: (() => Promise<boolean>) | undefined,
): Promise<boolean> {
  if (incoming.clientLeft) return true;
  return hasLeft !== undefined && Date.now() - since >= PATIENCE && (await hasLeft());
}

/** For a service whose host is the name of an upstream in its workspace. */
function balancedPeers(
  gateway: Gateway,
  runtime: ProxyRuntime,
  context: ProxyContext,
  { match }: Matched,
  balancer: Balancer,
): PeerPicker {
  let key = '';
  if (balancer.upstream.algorithm === 'consistent-hashing') {
    const hashed = hashKey(balancer.upstream, {
      clientIp: context.client.ip,
      consumer: context.knownIdentity?.consumer ?? null,
      credential: context.knownIdentity?.credential ?? null,
      headers: context.fields,
      path: context.rawPath,
      query: context.query,
      captures: match.captures.named,
    });
    key = hashed.key;
    if (hashed.setCookie !== null) context.replyHeaders.append('Set-Cookie', hashed.setCookie);
  }
  const waitUntil = (work: Promise<unknown>): void => context.waitUntil(work);
  runtime.health.touch(balancer.upstream, gateway.balancers, waitUntil);
  return balancer.peers({
    key,
    onLeave: (listener) => context.incoming.onClientLeft(listener),
    // A release that is tried may be what fails, and must not take their targets from the others.
    health:
      runtime.trial !== null
        ? null
        : {
            changed(upstream, address, healthy) {
              runtime.health.changed(upstream, address, healthy);
              runtime.health.touch(upstream, gateway.balancers, waitUntil);
            },
            failed(upstream, address, kind) {
              runtime.health.failed(upstream, address, kind);
              runtime.health.touch(upstream, gateway.balancers, waitUntil);
            },
          },
  });
}

/** A small body is read ahead when it may have to be sent a second time; Kong buffers every body for that. */
function isKeptForRetry(context: ProxyContext, route: Route, service: Service, peers: PeerPicker): boolean {
  const body = context.body.current;
  if (body.kind !== 'incoming' || body.length === null || body.length > REPLAYABLE_BODY) return false;
  if (service.retries === 0 || !route.requestBuffering) return false;
  const { method } = context;
  // Neither these nor what never left can be repeated at the only peer there is.
  return isIdempotent(method) ? method !== 'GET' && method !== 'HEAD' : peers.several;
}

/** Fails closed (`details` are for the log alone): the config protects the request in a way this data plane has no means for. */
function refused(context: ProxyContext, reason: string, details: string | null = null): Outcome {
  console.error(`${requestWords(context)}: ${reason}${details === null ? '' : ` (${details})`}`);
  return failed(context.error(500, `this data plane cannot proxy the request: ${reason}`));
}

/** The service as a plugin wants it used for this request. */
function chosenService(service: Service, choice: UpstreamChoice): Service {
  const { scheme, target, timeouts, retries } = choice;
  return {
    ...service,
    ...(scheme !== null && { protocol: scheme }),
    ...(target !== null && ('upstream' in target ? { host: target.upstream } : target)),
    ...(timeouts !== null && {
      connectTimeout: timeouts.connect,
      readTimeout: timeouts.read,
      writeTimeout: timeouts.write,
    }),
    ...(retries !== null && { retries }),
  };
}

type Attempt = { -readonly [K in keyof Try]: Try[K] };

/** An attempt that begins, for those who tell of it. */
function attemptAt({ host, port }: Peer, startedAt: number): Attempt {
  return {
    host,
    port,
    startedAt,
    balancerLatency: Date.now() - startedAt,
    status: null,
    failure: null,
    failedAs: null,
  };
}

function tellOutcome(attempt: Attempt, result: UpstreamResult): void {
  if (result.kind === 'response') attempt.status = result.response.status;
  else {
    attempt.failure = result.failure.code;
    const status = statusOf(result.failure);
    attempt.failedAs = status === 502 || status === 504 ? status : null;
  }
}
