import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import type { Balancer } from '../balancer/balancer.ts';
import { explainBalancing } from '../balancer/explain.ts';
import { FieldList } from '../http/fields.ts';
import { splitHost } from '../router/host.ts';
import { authorityOf } from './egress/egress.ts';
import type { Route, Service } from './entities.ts';
import type { ExplainedCaller, ExplainedRequest, RequestExplanation } from './explanation.ts';
import { readForwarded, writeForwarded } from './forwarded-headers.ts';
import type { Gateway } from './gateway.ts';
import { stripRequestHeaders } from './hop-by-hop.ts';
import type { ProxyRuntime } from './runtime.ts';
import { matchedUpstreamPath, writeVia } from './upstream-request.ts';

/** Explains a request without sending it. */
export function explainRequest(
  gateway: Gateway,
  runtime: Pick<ProxyRuntime, 'flavor' | 'clientAddress' | 'sendRequestId'>,
  request: ExplainedRequest,
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
  const balanced =
    balancer &&
    explainBalancing(balancer, {
      clientIp: runtime.clientAddress(request.sourceIp, request.sourcePort, request.headers).ip,
      consumer: caller.consumer === null ? null : { id: caller.consumer },
      credential: null,
      headers: request.headers,
      path: request.path,
      query: request.query,
      captures: match?.captures.named ?? {},
    });
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
            path: matchedUpstreamPath(route, service, match, runtime.flavor),
            balanced: balancer !== undefined,
            headers: {
              Host: hostUpstream(request, route, service, balancer),
              ...headersUpstream(request, route.stripPath ? match.matchedPrefix : null, runtime),
            },
            balancing: balanced?.balancing ?? null,
            targets: balanced?.targets ?? [],
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

/** Null: each target has its own. */
function hostUpstream(
  { host }: ExplainedRequest,
  { preserveHost }: Route,
  service: Service,
  balancer: Balancer | undefined,
): string | null {
  if (preserveHost && host !== null) return host;
  const secure = service.protocol === 'https' || service.protocol === 'grpcs';
  if (balancer === undefined) return authorityOf(service.host, service.port, secure);
  const { hostHeader } = balancer.upstream;
  const names = new Set(
    balancer.addresses.map(({ hostname, port }) => authorityOf(hostHeader ?? hostname, port, secure)),
  );
  return names.size === 1 ? ([...names][0] ?? null) : null;
}

/** All but Host. `prefix` is what strip_path removes, if anything. */
function headersUpstream(
  request: ExplainedRequest,
  prefix: string | null,
  { clientAddress, sendRequestId }: Pick<ProxyRuntime, 'clientAddress' | 'sendRequestId'>,
): Readonly<Record<string, string | null>> {
  const received = request.headers;
  const client = clientAddress(request.sourceIp, request.sourcePort, received);
  const headers = new FieldList([...received.lines]);
  const names = received.lines.filter((_, at) => at % 2 === 0);
  stripRequestHeaders(headers, names, client.trusted);
  headers.delete('host');
  const scheme = request.scheme === 'https' ? 'https' : 'http';
  const { host } = splitHost(request.host ?? '');
  const forwarded = readForwarded(received, client, {
    scheme,
    host: host.includes(':') ? `[${host}]` : host,
    port: request.destinationPort ?? 0,
    path: request.path,
  });
  writeForwarded(headers, received, client, forwarded, prefix);
  writeVia(headers, received, '1.1');
  const told: Record<string, string | null> = {};
  for (let at = 0; at < headers.lines.length; at += 2) {
    const name = headers.lines[at] ?? '';
    told[name] = headers.get(name);
  }
  // What was not said of the connection is not made up.
  if (forwarded.port === 0) told['X-Forwarded-Port'] = null;
  if (client.ip === '') Object.assign(told, { 'X-Real-IP': null, 'X-Forwarded-For': null });
  if (sendRequestId) told['X-Kong-Request-Id'] = null;
  return told;
}
