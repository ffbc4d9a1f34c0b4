import { familiesOf, type Metric, type MetricFamily } from '../../shared/metrics-text.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { ClusterView } from '../admin/cluster/cluster-view.ts';
import type { ClusterListener } from '../cluster/listener.ts';
import { VERSION } from '../instance/version.ts';
import type { ConnectionCounts } from '../listeners/connection-counts.ts';
import type { CertificateInUse } from '../pki/certificate-dates.ts';
import type { Settings } from '../settings/properties.ts';
import type { Store } from '../store/store.ts';
import { connectedDataPlanes, counter, gauge, registeredDataPlanes } from './data-planes.ts';
import type { EventLoopWatch } from './event-loop.ts';
import { localDataPlane } from './local-data-plane.ts';
import { processMetrics } from './process.ts';
import { telemetryFamilies } from './telemetry.ts';

/** What a control plane tells of itself. */
export interface MeasuredParts {
  readonly nodeId: string;
  readonly settings: Pick<Settings, 'role' | 'database'>;
  readonly store: Store;
  /** Null: this control plane has no data planes. */
  readonly cluster: { readonly view: ClusterView; readonly listener: ClusterListener } | null;
  /** Of the Admin API's listeners. */
  readonly connections: ConnectionCounts;
  readonly eventLoop: EventLoopWatch | null;
  /** In use now. */
  certificates(): readonly CertificateInUse[];
  /** Where the Status API of the data plane of this instance answers; null: it has none. */
  localStatus(): string | null;
}

const SHOWN = 'holdfast_local_data_plane_shown';

/** Milliseconds the database has to tell of data planes. Prometheus waits for ten seconds. */
const PATIENCE = 4_000;

/**
 * What `/metrics` of a control plane shows, by Kong's names where Kong has the same. Of traffic it has what data
 * planes tell; more is counted where it passes, at the Status API of each. With a data plane of its own it shows what that does, too. Never waits for the database for long: what it does not say in time is left out.
 */
export async function controlPlaneMetrics(parts: MeasuredParts): Promise<string> {
  const { store, cluster } = parts;
  const { reachable } = await store.condition();
  const asked = cluster !== null && reachable;
  // What fails between the look at the database and this is as if it had not answered.
  const status = parts.localStatus();
  const [known, telemetry, local] = await Promise.all([
    asked ? inTime(registeredDataPlanes(cluster.view, () => store.nodes.tally())) : [],
    asked ? inTime(telemetryFamilies(store.telemetry, cluster.listener.telemetry)) : [],
    status === null ? null : localDataPlane(status),
  ]);
  const metrics: readonly Metric[] = [
    ...known,
    ...(cluster === null ? [] : connectedDataPlanes(cluster.view, cluster.listener)),
    ...identity(parts),
    ...adminMetrics(parts.connections),
    ...databaseMetrics(store, reachable),
    ...certificateMetrics(parts.certificates()),
    ...processMetrics(),
    ...(parts.eventLoop?.metrics() ?? []),
    ...(status === null
      ? []
      : [gauge(SHOWN, 'Whether the data plane of this instance has told its metrics', local ? 1 : 0)]),
  ];
  const { statements, transactions } = store.figures;
  const histograms = [
    statements.family(),
    transactions.family(),
    ...(cluster === null
      ? []
      : [cluster.listener.publisher.figures.rounds.family(), cluster.listener.figures.acknowledgements.family()]),
  ];
  const own = [...familiesOf(metrics), ...histograms, ...telemetry];
  const names = new Set(own.map(({ name }) => name));
  return inOrder([...own, ...(local ?? []).filter(({ name }) => !names.has(name))]);
}

/** Kong puts them in alphabetical order. */
function inOrder(families: readonly MetricFamily[]): string {
  return families
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ text }) => text)
    .join('');
}

/** What the database says in time; nothing where it does not, or fails. */
async function inTime<T>(told: Promise<readonly T[]>): Promise<readonly T[]> {
  let timer: NodeJS.Timeout | undefined;
  const outOfTime = new Promise<readonly T[]>((resolve) => {
    timer = setTimeout(() => resolve([]), PATIENCE);
  });
  try {
    return await Promise.race([told.catch(() => []), outOfTime]);
  } finally {
    clearTimeout(timer);
  }
}

function identity({ nodeId, settings }: MeasuredParts): readonly Metric[] {
  return [
    gauge('kong_node_info', 'Kong Node metadata information', 1, { node_id: nodeId, version: KONG_VERSION }),
    gauge('holdfast_control_plane_info', 'The control plane', 1, {
      node_id: nodeId,
      version: VERSION,
      role: settings.role,
      database: settings.database,
    }),
  ];
}

function adminMetrics(connections: ConnectionCounts): readonly Metric[] {
  const { total_requests, connections_active } = connections.snapshot();
  return [
    counter('holdfast_admin_requests_total', 'Requests taken by the Admin API', total_requests),
    gauge('holdfast_admin_connections', 'Connections to the Admin API', connections_active),
  ];
}

function databaseMetrics(store: Store, reachable: boolean): readonly Metric[] {
  const pool = store.pool();
  const state = gauge('kong_datastore_reachable', 'Datastore reachable from Kong, 0 is unreachable', reachable ? 1 : 0);
  if (pool === null) return [state];
  const connections = (which: string, value: number): Metric =>
    gauge('holdfast_database_connections', 'Connections to the database, by what they do', value, { state: which });
  return [
    state,
    connections('active', pool.open - pool.idle),
    connections('idle', pool.idle),
    gauge('holdfast_database_connections_limit', 'Connections there can be (pg_pool_size)', pool.most),
    gauge('holdfast_database_waiting', 'What waits for a connection to the database', pool.waiting),
  ];
}

function certificateMetrics(certificates: readonly CertificateInUse[]): readonly Metric[] {
  return certificates.map(({ setting, subject, validTo }) =>
    gauge(
      'holdfast_certificate_expires_timestamp_seconds',
      'When a certificate in use expires, in Unix seconds, by its setting',
      Date.parse(validTo) / 1000,
      { setting, subject },
    ),
  );
}
