import { METRICS_TYPE, type Metric, metricsText } from '../../../shared/metrics-text.ts';
import type { Store } from '../../store/store.ts';
import type { AdminRoute } from '../route.ts';
import { type ClusterView, type DataPlaneRecord, everyDataPlane } from './cluster-view.ts';

/**
 * `/metrics` of the control plane: what Kong's prometheus plugin tells of data planes there, by its names, and whether
 * config reaches them. Traffic is counted where it passes: at the Status API of each data plane.
 */
export function metricsRoutes(store: Store, cluster: ClusterView | null): AdminRoute[] {
  return [
    {
      path: '/metrics',
      methods: {
        GET: {
          describe: {
            summary: 'Data planes, and whether config reaches them, in Prometheus’ text format',
            tag: 'information',
            success: { status: 200, schema: { type: 'string' }, contentType: METRICS_TYPE },
          },
          async handle() {
            const { reachable } = await store.condition();
            const nodes: DataPlaneRecord[] = [];
            if (cluster !== null && reachable) for await (const node of everyDataPlane(cluster)) nodes.push(node);
            const metrics = [...nodesAsMetrics(nodes), ...reachAsMetrics(cluster, reachable)];
            return { status: 200, body: metricsText(metrics), headers: { 'content-type': METRICS_TYPE } };
          },
        },
      },
    },
  ];
}

function gauge(name: string, help: string, value: number, labels: Metric['labels'] = {}): Metric {
  return { name, type: 'gauge', help, labels, value };
}

function nodesAsMetrics(nodes: readonly DataPlaneRecord[]): Metric[] {
  const labelled = nodes.map((node) => ({ node, labels: { node_id: node.id, hostname: node.hostname, ip: node.ip } }));
  return [
    ...labelled.map(({ node, labels }) =>
      gauge(
        'kong_data_plane_config_hash',
        'Config hash numeric value of the data plane',
        Number(`0x${node.config_hash}`),
        labels,
      ),
    ),
    ...labelled.map(({ node, labels }) =>
      gauge('kong_data_plane_last_seen', 'Last time data plane contacted control plane', node.last_seen, labels),
    ),
    ...labelled.map(({ node, labels }) =>
      gauge(
        'kong_data_plane_version_compatible',
        'Version compatible status of the data plane, 0 is incompatible',
        node.sync_status === 'normal' || node.sync_status === 'unknown' ? 1 : 0,
        { ...labels, kong_version: node.version ?? '' },
      ),
    ),
    ...labelled.flatMap(({ node, labels }) =>
      node.refused_claim === null
        ? []
        : gauge(
            'holdfast_data_plane_claim_refused',
            'Last time somebody else said it was this data plane, and was refused',
            node.refused_claim.at,
            labels,
          ),
    ),
  ];
}

function reachAsMetrics(cluster: ClusterView | null, reachable: boolean): Metric[] {
  const datastore = gauge(
    'kong_datastore_reachable',
    'Datastore reachable from Kong, 0 is unreachable',
    reachable ? 1 : 0,
  );
  if (cluster === null) return [datastore];
  const { serial, connected, withheld, trouble } = cluster.reach();
  return [
    datastore,
    gauge('holdfast_config_published', 'Whether what is committed is published, 0 is not', trouble === null ? 1 : 0),
    gauge('holdfast_config_serial', 'Serial of the newest config that is published', serial),
    gauge('holdfast_data_planes_connected', 'Data planes connected to this control plane', connected),
    gauge(
      'holdfast_data_planes_withheld',
      'Data planes connected to this control plane that do not get the newest config',
      withheld.length,
    ),
  ];
}
