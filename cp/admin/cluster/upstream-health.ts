import { type Row, recordOrEmpty } from '../../../shared/record.ts';
import { parentOf } from '../entity/nested.ts';
import { pageBody, pageParameters } from '../entity/page.ts';
import { type JsonSchema, objectOf } from '../openapi/description.ts';
import { newestTargets, ofUpstream, targetOf } from '../overrides/targets.ts';
import { message, noContent, ok } from '../reply.ts';
import { type AdminRoute, type Call, type Operation, param } from '../route.ts';
import type { ClusterView, Health, NodeTargetHealth, NodeUpstreamHealth } from './cluster-view.ts';

/**
 * `/upstreams/{u}/health` and the manual `healthy`/`unhealthy` marks. Kong's control plane knows only itself; ours
 * answers for its data planes: the worst any of them sees, and under `data_planes` what each one sees.
 */
export function upstreamHealthRoutes(cluster: ClusterView | null, nodeId: string): AdminRoute[] {
  const single = '/upstreams/{upstreams}/targets/{targets}';
  return [
    { path: '/upstreams/{upstreams}/health', methods: { GET: health(cluster, nodeId) } },
    ...(['healthy', 'unhealthy'] as const).flatMap((mark) => [
      { path: `${single}/${mark}`, methods: { PUT: setHealth(cluster, mark) } },
      { path: `${single}/{address}/${mark}`, methods: { PUT: setHealth(cluster, mark) } },
    ]),
  ];
}

const targetHealthSchema: JsonSchema = {
  allOf: [
    { $ref: '#/components/schemas/targets' },
    objectOf({
      health: { type: 'string', enum: ['HEALTHY', 'UNHEALTHY', 'HEALTHCHECKS_OFF', 'DNS_ERROR'] },
      data: { type: 'object' },
      data_planes: { type: 'array', items: { type: 'object' } },
    }),
  ],
};

function health(cluster: ClusterView | null, nodeId: string): Operation {
  return {
    describe: {
      summary: 'Health of an upstream’s targets, as the data planes see it',
      tag: 'upstreams',
      query: [
        ...pageParameters,
        {
          name: 'balancer_health',
          description: '`1`: the health of the whole upstream instead of its targets.',
          schema: { type: 'string' },
        },
      ],
      success: {
        status: 200,
        schema: objectOf({
          data: { oneOf: [{ type: 'array', items: targetHealthSchema }, { type: 'object' }] },
          next: { type: ['string', 'null'] },
          node_id: { type: 'string' },
        }),
      },
      errors: [400, 404],
    },
    async handle(call) {
      const upstream = await parentOf(call, ofUpstream());
      const nodes = cluster === null ? [] : await cluster.targetHealth(upstream.id);
      const page = await newestTargets(call);
      const rows = page.rows.map((target) => withHealth(target, upstream, nodes));
      if (call.query.get('balancer_health') === '1') {
        return ok({ data: balancerHealth(upstream, rows), next: null, node_id: nodeId });
      }
      const path = `/upstreams/${encodeURIComponent(param(call, 'upstreams'))}/health`;
      const body = pageBody(page.offset === undefined ? { rows } : { rows, offset: page.offset }, path);
      return ok({ ...body, node_id: nodeId });
    },
  };
}

interface TargetWithHealth extends Row {
  target: string;
  health: Health;
  data: ReturnType<typeof balancerData>;
}

function withHealth(target: Row, upstream: Row, nodes: readonly NodeUpstreamHealth[]): TargetWithHealth {
  const seen = nodes.flatMap(({ node, targets }) => {
    const one = targets[String(target.id)];
    return one === undefined ? [] : [{ ...node, ...one }];
  });
  return {
    ...target,
    target: String(target.target),
    health: seen.length === 0 ? unseenHealth(upstream) : worst(seen.map((one) => one.health)),
    data: balancerData(target, seen),
    data_planes: seen,
  };
}

/** Kong takes a target for healthy until a check says otherwise. */
const unseenHealth = (upstream: Row): Health => (checksHealth(upstream) ? 'HEALTHY' : 'HEALTHCHECKS_OFF');

const BY_SEVERITY: readonly Health[] = ['DNS_ERROR', 'UNHEALTHY', 'HEALTHY', 'HEALTHCHECKS_OFF'];
const worst = (all: readonly Health[]): Health => BY_SEVERITY.find((one) => all.includes(one)) ?? 'HEALTHCHECKS_OFF';

/** Whether any check is on, as Kong has it: the active ones by their intervals, the passive ones by what they count. */
function checksHealth({ healthchecks }: Row): boolean {
  const { active, passive } = recordOrEmpty(healthchecks);
  const { healthy, unhealthy } = recordOrEmpty(active);
  const counted = recordOrEmpty(recordOrEmpty(passive).unhealthy);
  return [
    recordOrEmpty(healthy).interval,
    recordOrEmpty(unhealthy).interval,
    counted.http_failures,
    counted.tcp_failures,
    counted.timeouts,
  ].some((count) => typeof count === 'number' && count > 0);
}

function balancerData(target: Row, seen: readonly NodeTargetHealth[]) {
  const { host, port } = hostAndPort(String(target.target));
  const weight = Number(target.weight);
  const addresses = new Map<string, NodeTargetHealth['addresses'][number]>();
  for (const { addresses: list } of seen) {
    for (const address of list) {
      const key = `${address.ip}:${address.port}`;
      if (address.health === 'UNHEALTHY' || !addresses.has(key)) addresses.set(key, address);
    }
  }
  const all = [...addresses.values()];
  // What no data plane has told of counts as configured; a name that leads nowhere counts for nothing.
  const total = seen.length === 0 ? weight : sum(all.map((address) => address.weight));
  const unavailable = sum(all.filter((one) => one.health === 'UNHEALTHY').map((address) => address.weight));
  return {
    host,
    port,
    dns: seen.find(({ dns }) => dns !== null)?.dns ?? (isAddress(host) ? 'A' : 'unknown'),
    nodeWeight: weight,
    weight: { total, unavailable, available: total - unavailable },
    addresses: all,
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
const isAddress = (host: string): boolean => host.startsWith('[') || /^[\d.]+$/.test(host);

function hostAndPort(target: string): { host: string; port: number } {
  const colon = target.lastIndexOf(':');
  return { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
}

function balancerHealth(upstream: Row, targets: readonly TargetWithHealth[]) {
  const total = sum(targets.map(({ data }) => data.weight.total));
  const available = sum(targets.map(({ data }) => data.weight.available));
  const threshold = thresholdOf(upstream);
  const healthy = total > 0 && (available / total) * 100 >= threshold && available > 0;
  return {
    health: checksHealth(upstream) ? (healthy ? 'HEALTHY' : 'UNHEALTHY') : 'HEALTHCHECKS_OFF',
    balancer_health: healthy ? 'HEALTHY' : 'UNHEALTHY',
    id: upstream.id,
    details: {
      healthy,
      weight: { total, unavailable: total - available, available },
      hosts: targets.map(({ data }) => data),
    },
  };
}

function thresholdOf(upstream: Row): number {
  const checks = upstream.healthchecks;
  if (typeof checks !== 'object' || checks === null || !('threshold' in checks)) return 0;
  return typeof checks.threshold === 'number' ? checks.threshold : 0;
}

function setHealth(cluster: ClusterView | null, mark: 'healthy' | 'unhealthy'): Operation {
  return {
    describe: {
      summary: `Mark a target, or one address of it, ${mark} on every data plane`,
      tag: 'upstreams',
      success: { status: 204 },
      errors: [400, 404],
    },
    async handle(call: Call) {
      const target = await targetOf(call);
      const upstream = await parentOf(call, ofUpstream());
      if (cluster === null) return message(400, 'no data planes are connected to this control plane');
      const address = call.params.address ?? null;
      await cluster.setTargetHealth({
        upstream: upstream.id,
        target: target.id,
        address: address === null || /:\d+$/.test(address) ? address : `${address}:8000`,
        healthy: mark === 'healthy',
      });
      return noContent;
    },
  };
}
