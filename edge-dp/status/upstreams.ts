import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import type { BalancedUpstream } from '../balancer/directory.ts';
import { reportTargets, type TargetReport } from '../balancer/health-report.ts';
import { checksHealth } from '../balancer/upstream.ts';
import { json, type StatusRequest, type StatusRoute } from './routes.ts';

/**
 * The read-only upstream endpoints of Kong's Status API, as this data plane sees them. An upstream is found by its id, or by
 * its name in the workspace the path begins with, or else in the default one.
 */
export const upstreamRoutes: readonly StatusRoute[] = [
  { path: pattern('/health'), GET: withBalancer(health) },
  { path: pattern('/targets'), GET: withBalancer(targets) },
  { path: pattern('/targets/all'), GET: withBalancer(targets) },
  { path: pattern('/targets/:target'), GET: withBalancer(target) },
];

function pattern(rest: string): string {
  return `{/:workspace}?/upstreams/:upstream${rest}`;
}

function withBalancer(
  answer: (balancer: BalancedUpstream, request: StatusRequest) => Response,
): (request: StatusRequest) => Response {
  return (request) => {
    const { balancers } = request.live.path;
    const name = decoded(request.parameters.upstream);
    const asked = decoded(request.parameters.workspace);
    const workspace = balancers.workspace(asked === '' ? DEFAULT_WORKSPACE.name : asked);
    if (workspace === undefined) return json({ message: `Workspace '${asked}' not found` }, 404);
    const byId = balancers.byId(name);
    const own = asked === '' || byId?.upstream.workspace === workspace ? byId : undefined;
    const balancer = own ?? balancers.named(workspace, name);
    return balancer === undefined ? json({ message: 'Not found' }, 404) : answer(balancer, request);
  };
}

/** Targets with their health; with `balancer_health=1` whether the upstream as a whole is used. */
function health(balancer: BalancedUpstream, { url, env }: StatusRequest): Response {
  const node_id = env.SETTINGS.node.id;
  const reports = reportTargets(balancer);
  if (url.searchParams.get('balancer_health') !== '1') {
    const data = reports.map((report, i) => ({
      ...row(balancer, i),
      health: report.health,
      data: addresses(balancer, i, report),
    }));
    return json({ data, next: null, node_id });
  }
  const { id, name } = balancer.upstream;
  const off = !checksHealth(balancer.upstream.health) && reports.every(({ health }) => health === 'HEALTHCHECKS_OFF');
  const data = {
    id,
    health: off ? 'HEALTHCHECKS_OFF' : balancer.usable ? 'HEALTHY' : 'UNHEALTHY',
    balancer_health: balancer.usable ? 'HEALTHY' : 'UNHEALTHY',
    details: {
      name,
      healthy: balancer.usable,
      weight: weights(reports),
      hosts: reports.map((report, i) => addresses(balancer, i, report)),
    },
  };
  return json({ data, next: null, node_id });
}

function targets(balancer: BalancedUpstream): Response {
  return json({ data: balancer.targets.map((_, i) => row(balancer, i)), next: null });
}

function target(balancer: BalancedUpstream, { parameters }: StatusRequest): Response {
  const wanted = decoded(parameters.target);
  const place = balancer.targets.findIndex(({ id, target }) => id === wanted || target === wanted);
  return place < 0 ? json({ message: 'Not found' }, 404) : json(row(balancer, place));
}

/** A group of the path; empty when it is absent, as it came when its escapes are broken. */
function decoded(text: string | undefined): string {
  try {
    return decodeURIComponent(text ?? '');
  } catch {
    return text ?? '';
  }
}

function row({ targets, upstream }: BalancedUpstream, place: number) {
  const target = targets[place];
  return { id: target?.id, target: target?.target, weight: target?.weight, upstream: { id: upstream.id } };
}

function addresses({ targets }: BalancedUpstream, place: number, report: TargetReport) {
  const target = targets[place];
  return {
    host: target?.host,
    port: target?.port,
    dns: report.dns ?? 'unknown',
    nodeWeight: target?.weight,
    weight: weights([report]),
    addresses: report.addresses,
  };
}

function weights(reports: readonly TargetReport[]) {
  const all = reports.flatMap(({ addresses }) => addresses);
  const total = all.reduce((sum, { weight }) => sum + weight, 0);
  const unavailable = all.reduce((sum, { weight, health }) => sum + (health === 'UNHEALTHY' ? weight : 0), 0);
  return { total, unavailable, available: total - unavailable };
}
