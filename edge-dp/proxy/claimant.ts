import type { LazyTables } from '../config/lazy.ts';
import type { IncomingRequest } from '../http/messages.ts';
import type { Gateway } from './gateway.ts';
import { contextOf, routerRequest } from './handle.ts';
import { isMalformed } from './malformed.ts';
import type { Arrival } from './request-path.ts';
import type { ProxyRuntime } from './runtime.ts';

/**
 * Whose credential a request shows, by the id of the consumer, for the plugins of the route that it matches as it came. A request of
 * its own is looked at, which goes nowhere: nothing is read of the body, and nothing is left behind.
 */
export async function claimant(
  gateway: Gateway,
  runtime: ProxyRuntime,
  incoming: IncomingRequest,
  arrival: Arrival,
  lazy: LazyTables,
): Promise<string | null> {
  if (isMalformed(incoming)) return null;
  const context = contextOf(gateway, runtime, incoming, arrival, lazy, null);
  const match = gateway.router.match(routerRequest(context, arrival));
  const route = match === null ? undefined : gateway.routes.get(match.route.id);
  if (route === undefined) return null;
  context.route = route;
  context.service = route.service === null ? null : (gateway.services.get(route.service) ?? null);
  for (const { hooks } of gateway.plugins.ofRoute(route).instances) {
    const consumer = await hooks.claimant?.(context);
    if (consumer !== undefined) return consumer;
  }
  return null;
}
