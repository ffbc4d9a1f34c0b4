import { hostname } from 'node:os';
import { resolve } from 'node:path';

import { plugins } from '../shared/plugins/registry.ts';
import { createAdminApi } from './admin/app.ts';
import { ConnectionCounts } from './admin/connection-counts.ts';
import { listen } from './admin/listen.ts';
import type { AdminLog } from './admin/options.ts';
import { bindFailure } from './bind-failure.ts';
import { type ClusterListener, startClusterListener } from './cluster/listener.ts';
import { revocationCheck } from './cluster/ocsp.ts';
import { clusterView } from './cluster/view.ts';
import { storeSettings } from './commands/stores.ts';
import { clusterPair } from './data-plane-options.ts';
import { configLoader } from './declarative/loader.ts';
import { startUi } from './gui/start.ts';
import type { Log, LogLevel } from './log.ts';
import { loadClusterTls, loadSigningKey, loadTrustedKeys } from './pki/cluster-tls.ts';
import { clusterFiles } from './pki/gen-cert.ts';
import { loadListenerPair } from './pki/listener-pair.ts';
import { createPublisher, type Publisher } from './publisher/publisher.ts';
import { publishedTables } from './publisher/tables.ts';
import type { PeerAddress } from './settings/addresses.ts';
import type { Settings } from './settings/properties.ts';
import { openStore } from './store/open.ts';
import { schemasFor } from './store/schemas.ts';
import type { Store } from './store/store.ts';
import { VERSION } from './version.ts';

/** A running control plane. */
export interface ControlPlane {
  /** The Admin API's addresses, as bound. */
  readonly admin: readonly { readonly host: string; readonly port: number; readonly tls: boolean }[];
  /** The web UI's addresses, as bound. */
  readonly ui: ControlPlane['admin'];
  /** Where data planes connect, as bound. */
  readonly cluster: PeerAddress | null;
  /** Answers what is in flight, then closes everything. */
  stop(): Promise<void>;
}

/**
 * Starts store, publisher, cluster listeners, Admin API and web UI, in this order, and takes down again what was started when
 * one fails. An embedded database is brought up to date first; a server's only by `holdfast migrations`.
 */
export async function startControlPlane(settings: Settings, nodeId: string, log: Log): Promise<ControlPlane> {
  const started: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const each of started.splice(0).reverse()) await each();
  };
  try {
    const schemas = schemasFor(settings.router_flavor);
    const store = await openStore(storeSettings(settings), {
      migrate: settings.database === 'embedded',
      schemas,
    });
    started.push(() => store.close());

    const publisher = await createPublisher({
      feed: store.changes,
      tables: publishedTables(),
      pluginVersion: (name) => plugins.get(name)?.version,
      signingKey: await loadSigningKey(
        settings.bundle_signing_key ?? clusterFiles(resolve(settings.prefix)).signingKey,
      ),
      introduce: settings.bundle_introduced_keys === null ? [] : loadTrustedKeys(settings.bundle_introduced_keys).keys,
      group: settings.cluster_group,
      acceptLoss: settings.publish_near_empty,
      log: log.part('publisher'),
    });
    started.push(() => publisher.stop());

    const cluster = await startCluster(settings, store, publisher, log.part('cluster'));
    started.push(() => cluster.close());

    const connections = new ConnectionCounts();
    const app = createAdminApi({
      store,
      node: { id: nodeId, hostname: hostname(), version: VERSION },
      settings,
      cluster: clusterView(store.nodes, cluster),
      config: configLoader(store, schemas),
      connections,
      guiOrigins: settings.admin_gui_url.map((url) => new URL(url).origin),
      log: adminLog(log.part('admin')),
    });
    const admin: ControlPlane['admin'][number][] = [];
    for (const address of settings.admin_listen) {
      const listener = await listen(
        app,
        address,
        connections,
        address.tls ? loadListenerPair(settings, 'admin_listen') : undefined,
      ).catch((error) => {
        throw bindFailure('admin_listen', address, error);
      });
      started.push(() => listener.close());
      admin.push({ host: listener.host, port: listener.port, tls: address.tls });
    }

    const ui = await startUi(settings, admin, log.part('ui'));
    started.push(() => ui.close());
    return { admin, ui: ui.addresses, cluster: cluster.addresses[0] ?? null, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startCluster(
  settings: Settings,
  store: Store,
  publisher: Publisher,
  log: Log,
): Promise<ClusterListener> {
  const pair = clusterPair(settings);
  if (pair === null) throw new Error("cluster_cert and cluster_cert_key are not set: see 'holdfast hybrid gen_cert'");
  const tls = loadClusterTls({ mode: settings.cluster_mtls, ...pair, ca: settings.cluster_ca_cert, end: 'server' });
  return startClusterListener({
    listen: settings.cluster_listen,
    telemetryListen: settings.cluster_telemetry_listen,
    tls,
    revocation:
      tls.mode === 'shared' || settings.cluster_ocsp === 'off'
        ? null
        : revocationCheck({ mode: settings.cluster_ocsp, ca: tls.ca, log }),
    publisher,
    registry: store.nodes,
    plugins: plugins.keys(),
    version: VERSION,
    maxPayload: settings.cluster_max_payload,
    purgeDelay: settings.cluster_data_plane_purge_delay,
    log,
  });
}

/** The Admin API's view of the log; a changed level falls back after its time. */
function adminLog(log: Log): AdminLog {
  let restore: NodeJS.Timeout | undefined;
  const level = {
    get: () => log.level,
    set(next: LogLevel, seconds: number) {
      const before = log.level;
      clearTimeout(restore);
      log.level = next;
      restore = setTimeout(() => {
        log.level = before;
      }, seconds * 1000).unref();
    },
  };
  return Object.assign((severity: 'info' | 'warn' | 'error', message: string) => log(severity, message), { level });
}
