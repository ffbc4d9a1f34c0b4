import type { Balancer } from '../balancer/balancer.ts';
import type { Chain } from '../plugins/runtime/chain.ts';
import type { ForeseenRequest } from '../plugins/runtime/plugin.ts';
import type { RouterRequest } from '../router/request.ts';
import type { RouterFlavor } from '../router/route-row.ts';
import type { Route, Service } from './entities.ts';
import type { Gateway } from './gateway.ts';
import { isMalformed } from './malformed.ts';
import { protocolFault, statusOfFault } from './protocol-checks.ts';
import { matchedUpstreamPath } from './upstream-request.ts';

/** A request that is only thought of. */
export interface ForeseeableRequest extends RouterRequest, ForeseenRequest {
  /** Path and query. */
  readonly target: string;
  /** `X-Forwarded-Proto` of who is trusted, else the scheme. */
  readonly forwardedProto: string;
  readonly version: string;
  readonly headers: { get(name: string): string | null; has(name: string): boolean };
}

/** What it meets. Routes, services, balancers and chains are those of the config: the same object for as long as they are the same. */
export interface Foreseen {
  readonly route: Route | null;
  readonly service: Service | null;
  /** Null: the service's host is no upstream. */
  readonly balancer: Balancer | null;
  readonly chain: Chain;
  /** Null: it goes to no upstream. */
  readonly path: string | null;
  /** Of an answer that the gateway, or a plugin that can tell, gives by itself; null: that is up to others. */
  readonly status: number | null;
}

/** What a request meets, in the order of `handle`, as long as nobody is known to have sent it. Nothing is sent, no plugin runs. */
export function foresee(gateway: Gateway, flavor: RouterFlavor, request: ForeseeableRequest): Foreseen {
  if (isMalformed(request)) return unmatched(gateway, 400);
  if (request.method === 'TRACE') return unmatched(gateway, 405);
  const match = gateway.router.match(request);
  const route = match === null ? undefined : gateway.routes.get(match.route.id);
  if (match === null || route === undefined) return unmatched(gateway, 404);
  const fault = protocolFault(route, request.forwardedProto, request);
  const service = route.service === null ? null : (gateway.services.get(route.service) ?? null);
  const chain = gateway.plugins.ofRoute(fault === null ? route : null);
  const status = fault === null ? answered(chain, service, request) : statusOfFault(fault, route);
  const path = service === null || status !== null ? null : matchedUpstreamPath(route, service, match, flavor);
  const balancer = service === null ? null : (gateway.balancers.of(service) ?? null);
  return { route, service, balancer, chain, path, status };
}

function unmatched(gateway: Gateway, status: number): Foreseen {
  return { route: null, service: null, balancer: null, chain: gateway.plugins.ofRoute(null), path: null, status };
}

/** Null: an upstream answers, or a plugin that cannot tell without the request. */
function answered(chain: Chain, service: Service | null, request: ForeseenRequest): number | null {
  for (const { hooks } of chain.access) {
    const outcome = hooks.foresee?.(request);
    if (outcome === undefined) return null;
    if (outcome !== 'passes') return outcome;
  }
  return service === null ? 503 : null;
}
