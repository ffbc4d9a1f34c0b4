import type { Balancer } from '../balancer/balancer.ts';
import { hashKey } from '../balancer/hash-key.ts';
import { onlyPeer, type PeerPicker } from '../balancer/peers.ts';
import type { HttpResponse } from '../http/messages.ts';
import type { Captures } from '../router/capture.ts';
import { isCarried, type UpstreamFailure } from './egress/egress.ts';
import type { Route, Service } from './entities.ts';
import { errorPage } from './errors.ts';
import type { Gateway } from './gateway.ts';
import type { ProxyContext } from './request-context.ts';
import type { UpstreamTimes } from './response-headers.ts';
import { isIdempotent, mayRetry, REPLAYABLE_BODY, statusOf } from './retry.ts';
import type { ProxyRuntime } from './runtime.ts';
import { type MatchedPath, upstreamRequest, upstreamTarget } from './upstream-request.ts';

/** What a request came to: an answer of the upstream, or one of our own. */
export type Outcome =
  | { readonly source: 'kong'; readonly response: HttpResponse }
  | {
      readonly source: 'upstream';
      readonly response: HttpResponse;
      readonly times: UpstreamTimes;
      readonly version: '1.1' | '2';
      readonly websocket: boolean;
    };

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
  const { service, route } = matched;
  const { host, port } = service;
  const balancer = gateway.balancers.named(service.workspace, host) ?? runtime.serviceHosts?.of(host, port);
  const resolving = balancer?.resolve((work) => context.waitUntil(work)) ?? null;
  if (resolving !== null) await resolving;
  const peers =
    balancer === undefined ? onlyPeer(service) : balancedPeers(gateway, runtime, context, matched, balancer);
  const tls = gateway.tls(service, peers.clientCertificate);
  if ('missing' in tls) return refused(context, `service ${service.name ?? service.id} needs ${tls.missing}`);
  if (context.incoming.method === 'HEAD' && !isCarried({ method: 'HEAD', body: context.body.current }))
    return own(context.error(411, 'Length required'));
  if (isKeptForRetry(context, matched, peers)) await context.body.read(REPLAYABLE_BODY);
  const target = upstreamTarget(context, route, service, matched.match, runtime.flavor);
  const sentAt = Date.now();

  let failure: UpstreamFailure;
  let peer = peers.next();
  for (let left = service.retries, again = false; ; ) {
    if (peer === null) return own(context.error(503, peers.refusal));
    const body = context.body.current;
    const request = upstreamRequest(context, { service, route, peer, target, body, tls, websocket: matched.websocket });
    const result = await runtime.egress.send(request);
    if (result.kind === 'response') {
      const { version } = request;
      const { response } = result;
      const times = { sentAt, headAt: Date.now(), status: response.status };
      peers.answered(response);
      return { source: 'upstream', response, times, version, websocket: matched.websocket };
    }
    failure = context.incoming.clientLeft ? { ...result.failure, code: 'client_left' } : result.failure;
    const repeatable = mayRetry(failure, request.method, body);
    // nginx does not count that as a try either; it is no reason to bother another target with it.
    again = failure.stale === true && repeatable && !again;
    if (again) continue;
    const last = !repeatable || left === 0;
    peers.failed(failure, last);
    if (last) break;
    left -= 1;
    peer = peers.next();
  }
  console.warn(`request ${context.id}: service ${service.name ?? service.id}: ${failure.code}: ${failure.message}`);
  if (failure.code === 'unsupported')
    return refused(context, `service ${service.name ?? service.id} asks for what it cannot do: ${failure.message}`);
  if (failure.code === 'dns') return own(context.error(503, 'name resolution failed'));
  const page = errorPage(runtime.errorDefaultType, context, statusOf(failure));
  page.closing = failure.code === 'client_timeout';
  return own(page);
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
      clientIp: context.clientIp,
      consumer: context.consumer,
      credential: context.credential,
      headers: context.incoming.headers,
      path: match.path,
      query: context.query,
      captures: match.captures.named,
    });
    key = hashed.key;
    if (hashed.setCookie !== null) context.responseHeaders.append('Set-Cookie', hashed.setCookie);
  }
  const waitUntil = (work: Promise<unknown>): void => context.waitUntil(work);
  runtime.health.touch(balancer.upstream, gateway.balancers, waitUntil);
  return balancer.peers({
    key,
    waitUntil,
    health: {
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
function isKeptForRetry(context: ProxyContext, { route, service }: Matched, peers: PeerPicker): boolean {
  const body = context.body.current;
  if (body.kind !== 'incoming' || body.length === null || body.length > REPLAYABLE_BODY) return false;
  if (service.retries === 0 || !route.requestBuffering) return false;
  const { method } = context.incoming;
  // Neither these nor what never left can be repeated at the only peer there is.
  return isIdempotent(method) ? method !== 'GET' && method !== 'HEAD' : peers.several;
}

/** Fails closed: the config protects the request in a way this data plane has no means for. */
function refused(context: ProxyContext, reason: string): Outcome {
  console.error(`request ${context.id}: ${reason}`);
  return own(context.error(500, `this data plane cannot proxy the request: ${reason}`));
}

function own(response: HttpResponse): Outcome {
  return { source: 'kong', response };
}
