import { familiesOf, METRICS_TYPE, type Metric } from '../../shared/metrics-text.ts';
import { mustBeRecord } from '../../shared/record.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { NodeClient } from '../config/node.ts';
import { OUTBOX, type OutboxQuestion } from '../durable/outbox-messages.ts';
import type { SharedQuestion } from '../durable/state-messages.ts';
import { askNode } from '../plugins/services/node-state.ts';
import { countedFamilies, upstreamHealth } from './plugin-metrics.ts';
import type { StatusRequest, StatusRoute } from './routes.ts';
import { telemetryFamilies } from './telemetry-metrics.ts';

/**
 * `/metrics` in Prometheus' text format 0.0.4, by Kong's names where Kong has the same: what is true of the node without any
 * plugin, and what the prometheus plugin has counted of each request (statuses, latencies, bandwidth).
 */
export const metricsRoutes: readonly StatusRoute[] = [{ path: '/metrics', GET: metrics }];

async function metrics({ env, isolate, live }: StatusRequest): Promise<Response> {
  const { node, proxy } = env.SETTINGS;
  // Null: the link's owner does not answer, and then nobody knows.
  const link = await new NodeClient(env).link().catch(() => null);
  const all: Metric[] = [
    {
      name: 'kong_node_info',
      type: 'gauge',
      help: 'Kong Node metadata information',
      labels: { node_id: node.id, version: KONG_VERSION },
      value: 1,
    },
    {
      name: 'holdfast_node_info',
      type: 'gauge',
      help: 'The data plane and what it runs on',
      labels: { node_id: node.id, version: node.version, host: node.host, router_flavor: proxy.routerFlavor },
      value: 1,
    },
    {
      name: 'kong_nginx_requests_total',
      type: 'counter',
      help: 'Requests taken by the proxy since the node started; those of its other processes as they last told',
      labels: { node_id: node.id, subsystem: 'http' },
      value: isolate.traffic.total,
    },
    {
      name: 'holdfast_config_info',
      type: 'gauge',
      help: 'The config requests are served by',
      labels: { hash: live.configHash ?? '0'.repeat(32), source: live.source },
      value: 1,
    },
  ];
  const vaults = isolate.current.vaults(env);
  all.push(
    {
      name: 'holdfast_vault_references',
      type: 'gauge',
      help: 'References to vaults in the config requests are served by',
      labels: {},
      value: vaults.size,
    },
    {
      name: 'holdfast_vault_references_unresolved',
      type: 'gauge',
      help: 'Those of them that could not be resolved: what has them fails closed',
      labels: {},
      value: vaults.unresolved.length,
    },
  );
  const untold = await untoldRecords(env);
  if (untold !== null)
    all.push({
      name: 'holdfast_shared_records_untold',
      type: 'gauge',
      help: 'Changes of what all data planes share (tokens, sessions) that wait for the control plane: this node alone knows them',
      labels: {},
      value: untold,
    });
  const unsent = await waitingInOutbox(env);
  if (unsent !== null)
    all.push({
      name: 'holdfast_outbox_entries',
      type: 'gauge',
      help: 'Entries of queues (of logs, spans) that could not be sent while a request lasted, and wait in the outbox',
      labels: {},
      value: unsent,
    });
  const issued = isolate.current.held?.verified?.content.issued_at;
  if (issued !== undefined)
    all.push({
      name: 'holdfast_config_issued_timestamp_seconds',
      type: 'gauge',
      help: 'When the control plane signed the config requests are served by, in Unix seconds',
      labels: {},
      value: issued,
    });
  if (isolate.restarts !== null)
    all.push({
      name: 'holdfast_process_restarts_total',
      type: 'counter',
      help: 'Processes of the node that ended by themselves and were started again',
      labels: {},
      value: isolate.restarts,
    });
  const certificates = env.SETTINGS.status.certificates ?? [];
  const shown = certificates.find(({ setting }) => setting === 'cluster_cert');
  if (shown !== undefined)
    all.push({
      name: 'kong_data_plane_cluster_cert_expiry_timestamp',
      type: 'gauge',
      help: "Unix timestamp of Data Plane's cluster_cert expiry time",
      labels: {},
      value: Date.parse(shown.validTo) / 1000,
    });
  for (const { setting, subject, validTo } of certificates)
    all.push({
      name: 'holdfast_certificate_expires_timestamp_seconds',
      type: 'gauge',
      help: 'When a certificate in use expires, in Unix seconds, by its setting',
      labels: { setting, subject },
      value: Date.parse(validTo) / 1000,
    });
  if (live.serial !== null)
    all.push({
      name: 'holdfast_config_serial',
      type: 'gauge',
      help: 'Serial of the config requests are served by',
      labels: {},
      value: live.serial,
    });
  if (link !== null)
    all.push(
      {
        name: 'kong_control_plane_connected',
        type: 'gauge',
        help: 'Kong connected to control plane, 0 is unconnected',
        labels: {},
        value: link.connected ? 1 : 0,
      },
      {
        name: 'holdfast_config_withheld',
        type: 'gauge',
        help: 'There is newer config that is withheld from this node, or that it refused, 1 is so',
        labels: {},
        value: link.withheld === null ? 0 : 1,
      },
      {
        name: 'holdfast_orders_refused_total',
        type: 'counter',
        help: 'Orders of a control plane that were not obeyed, since they were not signed for this node and connection',
        labels: {},
        value: link.ordersRefused,
      },
      {
        name: 'holdfast_config_refused_total',
        type: 'counter',
        help: 'Configs, and damaged parts of some, that this node refused; it serves the last good one',
        labels: {},
        value: link.configsRefused,
      },
      {
        name: 'holdfast_config_cache_errors_total',
        type: 'counter',
        help: 'Times that config could not be kept on this node, or that what was kept could not be read',
        labels: {},
        value: link.cacheErrors,
      },
    );
  const families = [
    ...familiesOf(all),
    ...(await countedFamilies(env, live.path.shownMetrics.counts)),
    ...(await telemetryFamilies(env)),
    ...(live.path.shownMetrics.upstreamHealth ? upstreamHealth(live.path.balancers.all(), proxy.streams === true) : []),
  ];
  const text = families
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((each) => each.text)
    .join('');
  return new Response(text, { headers: { 'content-type': METRICS_TYPE } });
}

/** Null: their keeper does not answer. */
async function untoldRecords({ NODE }: StatusRequest['env']): Promise<number | null> {
  try {
    const answer = await askNode(NODE)('cluster', { ask: 'position' } satisfies SharedQuestion);
    const { untold } = mustBeRecord(answer, 'the answer');
    return typeof untold === 'number' ? untold : null;
  } catch {
    return null;
  }
}

/** Null: the outbox does not answer. */
async function waitingInOutbox({ NODE }: StatusRequest['env']): Promise<number | null> {
  try {
    const answer = await askNode(NODE)(OUTBOX, { does: 'show' } satisfies OutboxQuestion);
    const { waiting } = mustBeRecord(answer, 'the answer');
    return typeof waiting === 'number' ? waiting : null;
  } catch {
    return null;
  }
}
