import type { Metric } from '../../shared/metrics-text.ts';
import { type ClusterView, type DataPlaneRecord, everyDataPlane } from '../admin/cluster/cluster-view.ts';
import type { ClusterListener } from '../cluster/listener.ts';
import type { NodeTally } from '../store/store.ts';

/** Data planes that have a line of their own for how far they are behind: those that are furthest. */
const MOST_BEHIND = 100;

/** What the registry says of data planes: by Kong's names of each, and how many are in which state. */
export async function registeredDataPlanes(
  cluster: ClusterView,
  tally: () => Promise<readonly NodeTally[]>,
): Promise<readonly Metric[]> {
  const nodes: DataPlaneRecord[] = [];
  for await (const node of everyDataPlane(cluster)) nodes.push(node);
  const states = (await tally()).map(({ connected, sync_status, nodes: count }) =>
    gauge(
      'holdfast_data_planes',
      'Data planes the cluster knows, whichever control plane they are connected to',
      count,
      { state: connected ? 'connected' : 'disconnected', sync_status },
    ),
  );
  return [...nodesAsMetrics(nodes), ...states];
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

/** What this control plane knows of its own data planes without asking the database. */
export function connectedDataPlanes(cluster: ClusterView, listener: ClusterListener): readonly Metric[] {
  const { serial, connected, withheld, trouble } = cluster.reach();
  const behind = [...listener.nodes.connected()]
    .map((session) => ({ session, lag: session.lag }))
    .filter(({ lag }) => lag > 0)
    .sort((a, b) => b.lag - a.lag);
  return [
    gauge('holdfast_config_published', 'Whether what is committed is published, 0 is not', trouble === null ? 1 : 0),
    gauge('holdfast_config_serial', 'Serial of the newest config that is published', serial),
    gauge(
      'holdfast_config_published_timestamp_seconds',
      'When this control plane published config last, in Unix seconds',
      listener.publisher.figures.lastAt,
    ),
    counter(
      'holdfast_publish_failures_total',
      'Attempts to publish that failed, for the database or for what is in it',
      listener.publisher.figures.failures,
    ),
    gauge('holdfast_data_planes_connected', 'Data planes connected to this control plane', connected),
    gauge(
      'holdfast_data_planes_withheld',
      'Data planes connected to this control plane that do not get the newest config',
      withheld.length,
    ),
    gauge(
      'holdfast_data_planes_behind',
      'Data planes connected to this control plane that do not serve the newest config of their group yet',
      behind.length,
    ),
    ...behind
      .slice(0, MOST_BEHIND)
      .map(({ session, lag }) =>
        gauge(
          'holdfast_data_plane_serial_lag',
          `How many serials a data plane is behind the newest config of its group; the ${MOST_BEHIND} that are furthest`,
          lag,
          { node_id: session.node.id, hostname: session.node.hostname },
        ),
      ),
    counter(
      'holdfast_config_rejections_total',
      'Configs that data planes connected to this control plane refused',
      listener.figures.rejections,
    ),
    ...[
      ['data_plane_states', listener.nodes.unwritten] as const,
      ['shared_records', listener.waitingRecords()] as const,
    ].map(([queue, length]) =>
      gauge('holdfast_queue_length', 'What waits for the database, by what it is', length, { queue }),
    ),
  ];
}

export function gauge(name: string, help: string, value: number, labels: Metric['labels'] = {}): Metric {
  return { name, type: 'gauge', help, labels, value };
}

export function counter(name: string, help: string, value: number, labels: Metric['labels'] = {}): Metric {
  return { name, type: 'counter', help, labels, value };
}
