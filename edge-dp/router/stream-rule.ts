import { anyOf, type Predicate } from '../../shared/atc/ast.ts';
import { parseChecked } from '../../shared/atc/check.ts';
import { endpointCondition, sniCondition } from './classic-route.ts';
import { expressionPriority, rankOf, streamPriority, traditionalRank } from './priority.ts';
import type { RouteRow, RouterFlavor } from './route-row.ts';
import { makeRule, type Rule, tellingTheRoute } from './rule.ts';

/** How a client of a stream speaks to a listener; what a route calls `tls_passthrough` is TLS to it. */
export type Transport = 'tcp' | 'tls' | 'udp';

const TRANSPORTS: Readonly<Record<string, Transport>> = { tcp: 'tcp', tls: 'tls', tls_passthrough: 'tls', udp: 'udp' };

/**
 * The rule of a route of streams; none for other routes. A route takes connections of its own protocols alone: one of `tls` never
 * gets what came in clear. Throws `ConfigError` naming the route when its expression is not valid.
 */
export function compileStreamRoute(route: RouteRow, flavor: RouterFlavor): Rule[] {
  const transports = new Set((route.protocols ?? []).flatMap((protocol) => TRANSPORTS[protocol] ?? []));
  if (transports.size === 0) return [];
  return tellingTheRoute(route, () => {
    const spoken = anyOf([...transports].map(spokenBy));
    if (flavor === 'expressions' && route.expression) {
      const expression = parseChecked(route.expression, 'stream');
      const own = expression.kind === 'all' ? expression.terms : [expression];
      const rank = rankOf(expressionPriority(route.priority ?? null), route.id.toLowerCase());
      return [makeRule(route, rank, [...own, spoken], null)];
    }
    const conditions = [spoken];
    const snis = (route.snis ?? []).map(sniCondition);
    // Clients of the route's other protocols have no name to be matched by.
    if (snis.length > 0) conditions.push(anyOf([{ ...spokenBy('tls'), operator: '!=' }, ...snis]));
    for (const side of ['net.src', 'net.dst'] as const) {
      const endpoints = (side === 'net.src' ? route.sources : route.destinations) ?? [];
      if (endpoints.length > 0) conditions.push(anyOf(endpoints.map((endpoint) => endpointCondition(side, endpoint))));
    }
    const rank =
      flavor === 'traditional'
        ? traditionalRank(route, [], { sni: true, hostPort: false, wildcardHostPort: false })
        : rankOf(streamPriority(route), route.id.toLowerCase());
    return [makeRule(route, rank, conditions, [])];
  });
}

function spokenBy(transport: Transport): Predicate {
  const value = { type: 'String', text: transport } as const;
  return { kind: 'predicate', field: 'net.protocol', lower: false, any: false, operator: '==', value, span: null };
}
