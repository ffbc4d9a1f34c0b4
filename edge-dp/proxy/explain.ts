import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import type { RouterRequest } from '../router/request.ts';
import { upstreamPath } from '../router/upstream-path.ts';
import type { ExplainedCaller, RequestExplanation } from './explanation.ts';
import type { Gateway } from './gateway.ts';

/** Explains a request without sending it. */
export function explainRequest(
  gateway: Gateway,
  flavor: string,
  request: RouterRequest,
  caller: ExplainedCaller,
): RequestExplanation {
  const { winner, losers, omitted } = gateway.router.explain(request);
  const match = gateway.router.match(request);
  const route = match === null ? null : (gateway.routes.get(match.route.id) ?? null);
  const service = route?.service == null ? null : (gateway.services.get(route.service) ?? null);
  const balancer = service === null ? undefined : gateway.balancers.named(service.workspace, service.host);
  const chain = gateway.plugins.chain(
    { workspace: route?.workspace ?? DEFAULT_WORKSPACE.id, route: route?.id ?? null, service: service?.id ?? null },
    caller,
  );
  return {
    route: route && { id: route.id, name: route.name },
    service: service && { id: service.id, name: service.name },
    upstream:
      match === null || route === null || service === null
        ? null
        : {
            protocol: service.protocol,
            host: service.host,
            port: service.port,
            path: upstreamPath({
              servicePath: service.path,
              path: match.path,
              matchedPrefix: match.matchedPrefix,
              stripPath: route.stripPath,
              handling: flavor === 'traditional' ? route.pathHandling : 'v0',
            }),
            balanced: balancer !== undefined,
            targets: (balancer?.addresses ?? []).map(({ target, weight, state }) => ({
              target,
              weight,
              available: weight > 0 && state.health.available,
            })),
          },
    captures: match?.captures.named ?? {},
    winner,
    losers,
    omitted_losers: omitted,
    plugins: chain.instances.map(({ plugin, place, config }) => ({
      id: place.id,
      name: plugin.name,
      priority: plugin.priority,
      route: place.route,
      service: place.service,
      consumer: place.consumer,
      consumer_group: place.consumerGroup,
      config,
    })),
  };
}
