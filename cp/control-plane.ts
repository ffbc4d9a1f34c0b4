import { hostname } from 'node:os';
import { resolve } from 'node:path';

import { isLoopback } from '../shared/browser-guard.ts';
import { plugins } from '../shared/plugins/registry.ts';
import { messageOf } from '../shared/thrown.ts';
import { AccessLog, accessLogFile } from './access-log/access-log.ts';
import { sharedChallenges } from './acme/challenges.ts';
import { AcmeOrders } from './acme/orders.ts';
import { createAdminApi } from './admin/app.ts';
import { Authors } from './admin/authors.ts';
import { nodeStatus } from './admin/node/status.ts';
import type { AdminOptions } from './admin/options.ts';
import type { Query } from './admin/request/query.ts';
import { type ClusterListener, startClusterListener } from './cluster/listener.ts';
import type { ClusterIdentity } from './cluster/mtls-server.ts';
import { revocationCheck } from './cluster/ocsp.ts';
import { clusterView } from './cluster/view.ts';
import { storeSettings } from './commands/stores.ts';
import { loadDeclared } from './declarative/dbless.ts';
import { loadedFile } from './declarative/dbless-folder.ts';
import { LastLoaded } from './declarative/last-loaded.ts';
import { configLoader } from './declarative/loader.ts';
import { EventHub } from './events/hub.ts';
import { FallbackExport } from './fallback/export.ts';
import { fallbackLocation, fallbackStorage } from './fallback/storage.ts';
import { startUi } from './gui/start.ts';
import type { Log } from './instance/log.ts';
import { passingLevel } from './instance/passing-level.ts';
import { VERSION } from './instance/version.ts';
import { type SigningKeyFiles, SigningRing } from './keys/signing-ring.ts';
import { bindFailure } from './listeners/bind-failure.ts';
import { BrowserGuard } from './listeners/browser-guard.ts';
import { ConnectionCounts } from './listeners/connection-counts.ts';
import { type HttpListener, listen } from './listeners/http-listener.ts';
import { loadListenerPair, tlsListeners } from './listeners/listener-pair.ts';
import { EventLoopWatch } from './metrics/event-loop.ts';
import { controlPlaneMetrics } from './metrics/metrics.ts';
import { certificatesInUse } from './pki/certificate-dates.ts';
import { clusterPair } from './pki/cluster-pair.ts';
import { loadClusterTls, loadTrustedKeys } from './pki/cluster-tls.ts';
import { clusterFiles } from './pki/gen-cert.ts';
import { loadPublicPair } from './pki/public-pair.ts';
import { loadTrust } from './pki/trust.ts';
import { createPublisher, type Publisher } from './publisher/publisher.ts';
import { publishedTables } from './publisher/tables.ts';
import { ReleaseDesk } from './releases/desk.ts';
import { ReleaseHistory } from './releases/history.ts';
import { type BoundAddress, formatAddress, type PeerAddress } from './settings/addresses.ts';
import { takesLuaPlugins } from './settings/lua-plugins.ts';
import type { Settings } from './settings/properties.ts';
import { startStatus } from './status/start.ts';
import { openStore } from './store/open.ts';
import { readOnly } from './store/read-only.ts';
import { schemasFor } from './store/schemas.ts';
import type { Store } from './store/store.ts';

/** A running control plane. */
export interface ControlPlane {
  /** The Admin API's addresses, as bound. */
  readonly admin: readonly { readonly host: string; readonly port: number; readonly tls: boolean }[];
  /** The web UI's addresses, as bound. */
  readonly ui: ControlPlane['admin'];
  /** The addresses of its Status API, as bound; in role `traditional` that is the data plane's. */
  readonly status: ControlPlane['admin'];
  /** Where data planes connect, as bound. */
  readonly cluster: PeerAddress | null;
  /** Where those under development do (`cluster_dev_listen`); null: nowhere. */
  readonly development: PeerAddress | null;
  /** From now on `/metrics` has what the data plane of the same instance shows at its Status API. */
  showMetricsOf(statusUrl: string): void;
  /**
   * Takes certificates and keys into use as they stand in the files now: new connections see them, the next bundle is
   * signed with them. Throws, with nothing changed, when one cannot be used.
   */
  renew(settings: Settings): Promise<void>;
  /** Takes no more requests from people; resolves when those in flight are answered, or cut off after `limit` ms. */
  drain(limit: number): Promise<void>;
  /** Closes everything. */
  stop(): Promise<void>;
}

/**
 * Starts store, publisher, cluster listeners, Admin API, web UI and Status API, in this order, and takes down again what was started when
 * one fails. Config may use `enabledPlugins` (null: all known ones). An embedded database is brought up to date first; a server's only by `holdfast migrations`.
 */
export async function startControlPlane(
  settings: Settings,
  nodeId: string,
  log: Log,
  enabledPlugins: ReadonlySet<string> | null = null,
): Promise<ControlPlane> {
  const started: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    // One that fails is no reason to leave the rest running, the database above all.
    for (const each of started.splice(0).reverse()) {
      await each().catch((error: unknown) => log('error', `stopping: ${messageOf(error)}`));
    }
  };
  try {
    const schemas = schemasFor(settings.router_flavor, enabledPlugins, takesLuaPlugins(settings));
    const store = await openStore(storeSettings(settings), {
      migrate: settings.database !== 'postgres',
      schemas,
      log: log.part('store'),
    });
    started.push(() => store.close());

    const dbless = settings.database === 'off';
    const loader = configLoader(store, schemas, new LastLoaded(dbless ? loadedFile(settings.prefix) : null));
    // Before anything is published: what was kept from the last run is not served for a moment first.
    if (dbless) await loadDeclared(loader, settings, log.part('config'));

    const ring = await SigningRing.open({
      ...signingKeyFiles(settings),
      store: store.signingKeys,
      log: log.part('publisher'),
    });
    started.push(async () => ring.stop());
    const keys = ring.keys();
    const publisher = await createPublisher({
      feed: store.changes,
      tables: publishedTables(),
      pluginVersion: (name) => plugins.get(name)?.version,
      signingKey: keys.signing,
      introduce: keys.introduced,
      statements: keys.statements,
      trusted: keys.trusted,
      acceptLoss: settings.publish_near_empty,
      releases: store.releases,
      log: log.part('publisher'),
    });
    started.push(() => publisher.stop());

    const ownLog = adminLog(log.part('admin'));
    const cluster = await startCluster(settings, nodeId, store, publisher, ownLog, log.part('cluster'));
    started.push(() => cluster.close());
    ring.start(
      () => publisher.serial(),
      (fresh) => publisher.renew(fresh),
    );

    if (settings.cluster_fallback_config_export) {
      const fallback = new FallbackExport({
        storage: fallbackStorage(fallbackLocation(settings), process.env),
        publisher,
        delay: settings.cluster_fallback_config_export_delay * 1000,
        log: log.part('fallback'),
      });
      started.push(() => fallback.stop());
    }
    const releases = new ReleaseDesk({
      publisher,
      store: store.releases,
      registry: store.nodes,
      telemetry: store.telemetry,
      log: log.part('releases'),
    });
    started.push(async () => releases.stop());
    const history = new ReleaseHistory({
      publisher,
      store: store.releases,
      retention: { count: settings.release_history_count, age: settings.release_history_age },
      log: log.part('releases'),
    });
    started.push(() => history.stop());

    const events = new EventHub({
      changes: store.changes,
      log: store.log,
      releases: store.releases,
      registry: store.nodes,
      publisher,
      nodes: cluster.nodes,
      controlPlane: cluster.self.id,
      onForgotten: (callback) => cluster.onForgotten(callback),
      warn: (message) => log.part('admin')('warn', message),
    });
    started.push(() => events.close());

    const acme = new AcmeOrders({
      store,
      challenges: sharedChallenges(store.records, nodeId),
      trust: loadTrust(settings),
      log: log.part('acme'),
    });
    acme.start();
    started.push(() => acme.stop());

    const connections = new ConnectionCounts();
    const browsers = new BrowserGuard(settings, log.part('admin'));
    const authors = new Authors(settings);
    const view = clusterView(store.nodes, cluster);
    const eventLoop = new EventLoopWatch();
    started.push(async () => eventLoop.stop());
    let certificates = certificatesInUse(settings);
    let localStatus: string | null = null;
    const metrics = () =>
      controlPlaneMetrics({
        nodeId,
        settings,
        store,
        cluster: { view, listener: cluster },
        connections,
        eventLoop,
        certificates: () => certificates,
        localStatus: () => localStatus,
      });
    const stopping = new AbortController();
    const options: AdminOptions = {
      store: dbless ? readOnly(store) : store,
      acme,
      node: { id: nodeId, hostname: hostname(), version: VERSION },
      settings,
      cluster: view,
      config: loader,
      releases,
      events,
      connections,
      plugins: enabledPlugins,
      signingKeys: ring,
      browsers,
      authors,
      stopping: stopping.signal,
      metrics,
      log: ownLog,
    };
    const app = createAdminApi(options);
    const { admin_access_log } = settings;
    const accessLog =
      admin_access_log === 'off' ? null : new AccessLog(accessLogFile(admin_access_log, settings), log.part('admin'));
    if (accessLog !== null) started.push(() => accessLog.close());
    const admin: HttpListener[] = [];
    for (const address of settings.admin_listen) {
      const listener = await listen(
        app,
        address,
        connections,
        address.tls ? loadListenerPair(settings, 'admin_listen') : undefined,
        { accessLog },
      ).catch((error) => {
        throw bindFailure('admin_listen', address, error);
      });
      started.push(() => listener.close());
      admin.push(listener);
    }
    const adminAddresses = admin.map(({ host, port }, place) => ({
      host,
      port,
      tls: settings.admin_listen[place]?.tls ?? false,
      http2: false,
    }));

    for (const address of adminAddresses) warnOfOpen(address, log.part('admin'));

    const ui = await startUi(settings, adminAddresses, browsers, log.part('ui'));
    started.push(() => ui.close());
    browsers.uiListensAt(ui.addresses);

    const sources = {
      status: (query: Query) => nodeStatus(options, query),
      metrics,
      condition: () => store.condition(),
    };
    const status = await startStatus(settings, sources, log.part('status'));
    started.push(() => status.close());
    return {
      admin: adminAddresses,
      ui: ui.addresses,
      status: status.addresses,
      cluster: cluster.addresses[0] ?? null,
      development: cluster.developmentAddresses[0] ?? null,
      showMetricsOf(statusUrl) {
        localStatus = statusUrl;
      },
      async renew(fresh) {
        const identity = clusterIdentity(fresh, log.part('cluster'));
        const inUse = certificatesInUse(fresh);
        const pairs = new Map(tlsListeners(fresh).map((listener) => [listener, loadListenerPair(fresh, listener)]));
        if (dbless) await loadDeclared(loader, fresh, log.part('config'));
        await ring.reload(signingKeyFiles(fresh));
        cluster.renew(identity);
        authors.renew(fresh);
        const [adminPair, uiPair] = [pairs.get('admin_listen'), pairs.get('admin_gui_listen')];
        const statusPair = pairs.get('status_listen');
        if (adminPair !== undefined) for (const listener of admin) listener.renew(adminPair);
        if (uiPair !== undefined) ui.renew(uiPair);
        if (statusPair !== undefined) status.renew(statusPair);
        certificates = inUse;
      },
      async drain(limit) {
        stopping.abort();
        // Nobody who reads them goes by himself.
        await events.close();
        status.drain();
        await Promise.all([...admin.map((listener) => listener.close(limit)), ui.close(limit)]);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The Admin API asks nobody who they are, as in Kong: that is fine as long as only this machine can ask. */
function warnOfOpen(address: BoundAddress, log: Log): void {
  if (address.host === 'localhost' || isLoopback(address.host)) return;
  log(
    'warn',
    `admin_listen ${formatAddress(address)} can be reached from other machines, and the Admin API asks nobody for a ` +
      'password: whoever reaches it can read and change everything. Listen on 127.0.0.1, or let only those through who may',
  );
}

async function startCluster(
  settings: Settings,
  id: string,
  store: Store,
  publisher: Publisher,
  own: ReturnType<typeof adminLog>,
  log: Log,
): Promise<ClusterListener> {
  const identity = clusterIdentity(settings, log);
  for (const address of settings.cluster_dev_listen) {
    const where = formatAddress(address);
    log(
      'warn',
      `cluster_dev_listen ${where}: every program on this machine can link as a data plane, and read the config`,
    );
  }
  return startClusterListener({
    id,
    listen: settings.cluster_listen,
    telemetryListen: settings.cluster_telemetry_listen,
    developmentListen: settings.cluster_dev_listen,
    ...identity,
    publisher,
    registry: store.nodes,
    messages: store.messages,
    records: store.records,
    counts: store.counts,
    telemetry: store.telemetry,
    plugins: plugins.keys(),
    version: VERSION,
    purgeDelay: settings.cluster_data_plane_purge_delay,
    onLogLevel: ({ level, seconds }) => own.level.set(level, seconds),
    log,
  });
}

/** What the cluster's listeners show, and whom they admit. Throws `PkiError`. */
function clusterIdentity(settings: Settings, log: Log): ClusterIdentity {
  const pair = clusterPair(settings);
  if (pair === null) throw new Error("cluster_cert and cluster_cert_key are not set: see 'holdfast hybrid gen_cert'");
  const tls = loadClusterTls({ mode: settings.cluster_mtls, ...pair, ca: settings.cluster_ca_cert, end: 'server' });
  const asks = tls.mode === 'pki' && settings.cluster_ocsp !== 'off';
  const revocation = asks ? revocationCheck({ mode: settings.cluster_ocsp, ca: tls.ca, log }) : null;
  return { tls, revocation, publicPair: loadPublicPair(settings, tls.leaf) };
}

/** Where signing keys are. Throws `PkiError`. */
function signingKeyFiles(settings: Settings): SigningKeyFiles {
  const { bundle_signing_key: signing, bundle_introduced_keys: introduced } = settings;
  return {
    file: signing ?? clusterFiles(resolve(settings.prefix)).signingKey,
    introduced: introduced === null ? [] : loadTrustedKeys(introduced, 'bundle_introduced_keys').keys,
  };
}

/** The Admin API's view of the log; a changed level falls back after its time. */
function adminLog(log: Log) {
  const level = passingLevel(log);
  return Object.assign((severity: 'info' | 'warn' | 'error', message: string) => log(severity, message), { level });
}
