import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_GROUP } from '../../shared/bundle/format.ts';
import { lacksAny, type Needed } from '../../shared/cluster/compatibility.ts';
import { HOST_KINDS } from '../../shared/cluster/hosts.ts';
import { SYNC_STATUSES, type SyncStatus } from '../../shared/cluster/messages.ts';
import { isRecord } from '../../shared/record.ts';
import type { ClusterView, ConfigReach, DataPlaneDetail, DataPlaneRecord } from '../admin/cluster/cluster-view.ts';
import type { Publisher } from '../publisher/publisher.ts';
import type { NodeRecord, NodeRegistry, NodeSummary } from '../store/store.ts';
import type { ClusterListener } from './listener.ts';
import type { Nodes } from './nodes.ts';
import type { HealthOrder, PurgeOrder } from './peers.ts';
import { targetsOf } from './target-health.ts';
import { withheldElsewhere, withheldFrom, withheldInWords } from './withholding.ts';

/** What the view needs of the cluster listener. */
interface ConnectedNodes {
  readonly self: ClusterListener['self'];
  readonly nodes: Nodes;
  readonly publisher: Pick<
    Publisher,
    'certain' | 'conflicts' | 'trouble' | 'release' | 'groups' | 'serial' | 'selects' | 'staged' | 'flush'
  >;
  setTargetHealth(order: HealthOrder): Promise<void>;
  explain: ClusterListener['explain'];
  replay: ClusterListener['replay'];
  purge(order: PurgeOrder): Promise<void>;
  setLogLevel: ClusterListener['setLogLevel'];
  copies: ClusterListener['copies'];
  forget: ClusterListener['forget'];
}

/** Milliseconds a write waits at most to learn whether it reaches data planes, where there is doubt. */
const PUBLISH_PATIENCE = 3_000;
const NOT_KNOWN_YET =
  `config is not published yet after ${PUBLISH_PATIENCE / 1000} s, so it is not known which data planes it is ` +
  'withheld from: see GET /status';

/** What Kong shows for a data plane without config. */
const NO_CONFIG = '0'.repeat(32);

/**
 * Data planes as the Admin API shows them: from the database, where those of other control planes stand too, after
 * what this one knows is written down.
 */
export function clusterView(registry: NodeRegistry, connected: ConnectedNodes): ClusterView {
  const { nodes, publisher, self } = connected;

  /** Of the whole config, else of each group that has some. */
  function anyTrouble(): string | null {
    const whole = publisher.trouble();
    if (whole !== null) return whole;
    const troubles = publisher.groups().flatMap((group) => publisher.trouble(group) ?? []);
    return troubles.length === 0 ? null : troubles.join('; ');
  }

  /** Why a group has not got what is written, though all is well. */
  function waiting(group: string): string | null {
    return publisher.staged?.isPending(group) === true ? `group '${group}' has not been released to` : null;
  }

  /** Up to which serial a data plane serves all that is written: where nothing waits for a release, also what came after it. */
  function upTo(group: string, serial: number | null): number | null {
    const live = publisher.staged?.live(group);
    if (serial === null || live == null || serial < live.serial || waiting(group) !== null) return serial;
    return Math.max(serial, publisher.serial());
  }

  function reach(): ConfigReach {
    const sessions = [...nodes.connected()];
    return {
      serial: publisher.serial(),
      trouble: anyTrouble(),
      connected: sessions.length,
      withheld: withheldFrom(sessions),
    };
  }

  /** What other control planes have to do with; nobody, while the database is away. */
  async function elsewhere(needed: Needed): Promise<readonly NodeRecord[]> {
    return await registry.troubledElsewhere(self.id, needed).catch(() => []);
  }

  /** Whether a data plane is connected to another control plane. */
  async function anyElsewhere(): Promise<boolean> {
    await nodes.flush();
    let offset: string | undefined;
    do {
      const page = await registry.page({ size: 1000, ...(offset !== undefined && { offset }) });
      if (page.nodes.some((node) => node.connected && nodes.get(node.id) === undefined)) return true;
      offset = page.offset;
    } while (offset !== undefined);
    return false;
  }

  return {
    reach,
    async unreached(needed) {
      const before = reach();
      const others = await elsewhere(needed);
      const lacking = [...nodes.connected()].some(({ node }) => lacksAny(needed, node));
      // Only where there is reason to: what writes do in a row is published together.
      const doubt = lacking || others.length > 0 || publisher.selects();
      if (before.trouble === null && before.withheld.length === 0 && !doubt) return null;
      const published = await Promise.race([
        publisher.flush().then(() => true),
        sleep(PUBLISH_PATIENCE, false, { ref: false }),
      ]);
      const { trouble, connected: count, withheld } = reach();
      if (trouble !== null) return trouble;
      if (!published) return NOT_KNOWN_YET;
      const far = withheldElsewhere(others, publisher, self.version);
      const all = [...withheld, ...far];
      if (all.length === 0) return null;
      const of = far.length === 0 ? ` of ${count}` : '';
      return `config is withheld from ${all.length}${of} data planes, which keep their last: ${withheldInWords(all)}`;
    },
    async dataPlanes(page) {
      await connected.nodes.flush();
      const { nodes, offset } = await registry.page(page);
      const rows = nodes.map((node) => recordOf(node, connected));
      return offset === undefined ? { rows } : { rows, offset };
    },
    async dataPlane(id) {
      await connected.nodes.flush();
      const node = await registry.get(id);
      return node === null ? null : detailOf(node, connected);
    },
    async upstreamsOf(id) {
      await connected.nodes.flush();
      const node = await registry.get(id);
      if (node === null) return null;
      const named = await registry.targetsOf(Object.keys(node.health));
      return [...Map.groupBy(named, ({ upstream }) => upstream)].map(([upstream, all]) => {
        const seen = targetsOf(node.health[upstream]);
        const targets = all.flatMap(({ target, address }) => {
          const health = seen[target];
          return health === undefined ? [] : [{ id: target, target: address, ...health }];
        });
        return { id: upstream, name: all[0]?.upstream_name ?? upstream, workspace: all[0]?.workspace ?? '', targets };
      });
    },
    async serials() {
      // What is known here is newer than what is written down of it.
      const others = (await registry.standingElsewhere(self.id, null)).filter(({ id }) => nodes.get(id) === undefined);
      const here = [...nodes.connected()].map(({ node: { id, hostname }, group, record: { serial, reason } }) => {
        return { id, hostname, group, serial, reason, connected: true };
      });
      return [...here, ...others]
        .map(({ id, hostname, group, serial, reason, connected }) => ({
          id,
          hostname,
          group,
          serial: upTo(group, serial),
          reason: reason ?? publisher.trouble(group) ?? waiting(group),
          connected,
        }))
        .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    },
    async settle() {
      await Promise.race([publisher.flush(), sleep(PUBLISH_PATIENCE, null, { ref: false })]);
    },
    certain: (serial) => publisher.certain(serial),
    groups: () => publisher.groups(),
    group(name) {
      const manifest = publisher.release(name)?.manifest;
      const trouble = publisher.trouble(name);
      return { trouble, serial: manifest?.serial ?? null, config_hash: manifest?.config_hash ?? null };
    },
    forget: (id) => connected.forget(id),
    async targetHealth(upstream) {
      await connected.nodes.flush();
      const told = await registry.health(upstream);
      return told.map(({ id, hostname, targets }) => ({ node: { id, hostname }, targets: targetsOf(targets) }));
    },
    setTargetHealth: (order) => connected.setTargetHealth(order),
    replay: (replay) => connected.replay(replay),
    explain: (request, node) => connected.explain(request, node),
    purge: (order) => connected.purge(order),
    setLogLevel: (order) => connected.setLogLevel(order),
    async copy(key, plugin) {
      const answers = await connected.copies(key, plugin);
      const found = answers.find((answer) => answer?.status === 200);
      if (found != null) return { outcome: 'found', node: found.node, body: found.body };
      const unknown = answers.some((answer) => answer?.status !== 404) || (await anyElsewhere());
      return { outcome: unknown ? 'unknown' : 'none' };
    },
  };
}

function recordOf(node: NodeSummary, { nodes, publisher }: ConnectedNodes): DataPlaneRecord {
  const { expiry_timestamp: expiry } = node.cert_details;
  const group = nodes.get(node.id)?.group ?? node.group ?? DEFAULT_GROUP;
  const labels = strings(node.labels);
  const isConnected = node.connected || nodes.get(node.id) !== undefined;
  return {
    id: node.id,
    hostname: node.hostname,
    ip: node.ip,
    version: node.version,
    config_hash: node.config_hash ?? NO_CONFIG,
    sync_status: syncStatus(node, isConnected),
    state: isConnected ? 'connected' : 'disconnected',
    last_seen: node.last_seen,
    updated_at: node.updated_at,
    ttl: node.ttl,
    labels: Object.keys(labels).length === 0 ? null : labels,
    cert_details: typeof expiry === 'number' ? { expiry_timestamp: expiry } : null,
    rpc_capabilities: [],
    serial: node.serial,
    group,
    rejection_reason: node.reason ?? publisher.trouble(group),
    refused_claim: claimOf(node.refused_claim),
  };
}

function detailOf(node: NodeRecord, connected: ConnectedNodes): DataPlaneDetail {
  const { host, plugins } = node.description;
  const { capabilities } = node;
  const record = recordOf(node, connected);
  return {
    ...record,
    host: HOST_KINDS.find((kind) => kind === host) ?? 'workerd',
    connected: node.connected || connected.nodes.get(node.id) !== undefined,
    plugins: strings(plugins),
    capabilities,
    load_ms: node.load_ms,
    conflicts: connected.publisher.conflicts(record.group, capabilities),
    history: node.history,
  };
}

function claimOf(claim: NodeRecord['refused_claim']): DataPlaneRecord['refused_claim'] {
  if (claim === null || typeof claim.at !== 'number') return null;
  return { at: claim.at, ...strings(claim) };
}

/** Of a node that is gone nobody knows that it is up to date. */
function syncStatus({ sync_status }: NodeSummary, connected: boolean): SyncStatus {
  const status = SYNC_STATUSES.find((one) => one === sync_status) ?? 'unknown';
  return status === 'normal' && !connected ? 'unknown' : status;
}

function strings(value: unknown): Readonly<Record<string, string>> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, one]) => (typeof one === 'string' ? [[name, one]] : [])),
  );
}
