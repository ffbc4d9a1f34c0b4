import { randomUUID } from 'node:crypto';
import { absentPlugins } from '../../shared/cluster/compatibility.ts';
import type { Explained, ExplainMessage, Order } from '../../shared/cluster/messages.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Replay, ReplayOutcome } from '../admin/cluster/cluster-view.ts';
import { bindFailure } from '../listeners/bind-failure.ts';
import type { ClusterTls } from '../pki/cluster-tls.ts';
import type { PublicPair } from '../pki/public-pair.ts';
import type { Publisher } from '../publisher/publisher.ts';
import type { ControlPlaneMessages, NodeRegistry, SharedCounts, SharedRecords } from '../store/store.ts';
import { TelemetryDesk, type TelemetryFigures } from '../telemetry/desk.ts';
import type { TelemetryHistory } from '../telemetry/history.ts';
import type { RevocationCheck } from './admission.ts';
import { Claims } from './claims.ts';
import { CountsDesk } from './counts-desk.ts';
import { createDevelopmentServer } from './development-server.ts';
import { Entrance } from './entrance.ts';
import { LinkFigures } from './figures.ts';
import { HeldManifests } from './held-manifests.ts';
import { HttpsForm } from './https-form.ts';
import { Links } from './link.ts';
import {
  type Address,
  type ClusterIdentity,
  type ClusterLog,
  type ClusterServer,
  type ClusterServerOptions,
  createMtlsServer,
  endUpgrade,
  type MtlsServer,
} from './mtls-server.ts';
import { Nodes } from './nodes.ts';
import { ManifestTexts } from './offers.ts';
import { type HealthOrder, type LogLevelOrder, type PeerMessage, Peers, type PurgeOrder } from './peers.ts';
import { Questions } from './questions.ts';
import { Quotas } from './quotas.ts';
import { RecordsDesk } from './records-desk.ts';
import { replayOn } from './replay.ts';
import type { NodeSession, SessionContext } from './session.ts';
import { WithheldLog } from './withholding.ts';

/** What the listeners work with, from settings and the parts of the control plane. */
export interface ClusterListenerOptions {
  /** UUID of this control plane, kept across restarts. */
  readonly id: string;
  /** `cluster_listen` and `cluster_telemetry_listen`; port 0 for any free one. */
  readonly listen: readonly Address[];
  readonly telemetryListen: readonly Address[];
  /** `cluster_dev_listen`; absent: nowhere. */
  readonly developmentListen?: readonly Address[];
  readonly tls: ClusterTls;
  /** From `revocationCheck` in `ocsp.ts`; null when `cluster_ocsp = off`. */
  readonly revocation: RevocationCheck | null;
  readonly publicPair?: PublicPair | null;
  readonly publisher: Publisher;
  readonly registry: NodeRegistry;
  /** To the other control planes on the database. */
  readonly messages: ControlPlaneMessages;
  /** What data planes share. */
  readonly records: SharedRecords;
  /** What data planes count together. */
  readonly counts: SharedCounts;
  /** Where what they tell of their traffic is kept. */
  readonly telemetry: Pick<TelemetryHistory, 'keep'>;
  /** Names of the plugins this control plane knows. */
  readonly plugins: Iterable<string>;
  /** Holdfast's version. */
  readonly version: string;
  /** Data planes in a minute that nobody knew, of one certificate and address; 2,000 unless given. */
  readonly mostNewNodes?: number;
  /** Data planes that are known of one address; 6,000 unless given. */
  readonly mostOfAddress?: number;
  /** Seconds (`cluster_data_plane_purge_delay`). */
  readonly purgeDelay: number;
  /** Another control plane was told a log level for all. */
  readonly onLogLevel?: (order: LogLevelOrder) => void;
  readonly log: ClusterLog;
}

/** The running listeners of 8005 and 8006. */
export interface ClusterListener {
  /** The addresses really bound, in the order of the options. */
  readonly addresses: readonly Address[];
  readonly telemetryAddresses: readonly Address[];
  readonly developmentAddresses: readonly Address[];
  /** This control plane: its id in the registry, and Holdfast's version. */
  readonly self: { readonly id: string; readonly version: string };
  /** The connected data planes. */
  readonly nodes: Nodes;
  /** What it gives them. */
  readonly publisher: Publisher;
  readonly figures: LinkFigures;
  /** Messages of data planes about what they share that wait for the database. */
  waitingRecords(): number;
  /** What they told of their traffic. */
  readonly telemetry: TelemetryFigures;
  /** Tells every data plane that is connected, to this or another control plane, about a target's health. */
  setTargetHealth(order: HealthOrder): Promise<void>;
  /** Tells every data plane that is connected, to this or another control plane, to forget copies of answers. */
  purge(order: PurgeOrder): Promise<void>;
  /** Tells the other control planes. */
  setLogLevel(order: LogLevelOrder): Promise<void>;
  /** What each data plane that is connected here has under a key; null: it did not answer in time. */
  copies(key: string, plugin: string | null): Promise<readonly (Copy | null)[]>;
  /**
   * Forgets a data plane, with the keys its id belongs to, and ends its link wherever it is connected: whoever says it is that
   * node next, is. False when there was none.
   */
  forget(id: string): Promise<boolean>;
  /** Calls back with the id of a data plane that was forgotten, here or at another control plane. */
  onForgotten(callback: (id: string) => void): () => void;
  /**
   * Asks a connected data plane, this one or of those with the newest config, where a request would go. `disconnected`: there is
   * none, or it is not here; `silent`: it did not answer in time.
   */
  /** Runs requests over a candidate on a data plane of its group that is connected here. */
  replay(replay: Replay): Promise<ReplayOutcome>;
  explain(request: ExplainMessage['request'], node?: string): Promise<Explanation>;
  /** New connections see, and are judged by, another identity; those there are stay. Throws when it cannot be used. */
  renew(identity: ClusterIdentity): void;
  close(): Promise<void>;
}

/** A copy of an answer, as a data plane shows it. */
interface Copy {
  readonly node: string;
  readonly status: number;
  readonly body: Explained['body'];
}

type Explanation =
  | { readonly outcome: 'answered'; readonly node: string; readonly status: number; readonly body: Explained['body'] }
  | { readonly outcome: 'disconnected' | 'silent' };

/** Opens the listeners data planes connect to. Throws when an address cannot be bound. */
export async function startClusterListener(options: ClusterListenerOptions): Promise<ClusterListener> {
  const { publisher, log, tls, revocation, publicPair = null } = options;
  const nodes: Nodes = new Nodes({
    ...options,
    lost(session) {
      log('warn', `${session.name}: its id ${session.node.id} belongs to another data plane, disconnecting`);
      end(session);
    },
  });
  const claims = new Claims({
    registry: options.registry,
    connected: (id) => nodes.get(id)?.keys ?? null,
    log,
    refused(node, peer) {
      const at = Math.floor(Date.now() / 1000);
      nodes.refused(node.id, { at, ip: peer.ip, hostname: node.hostname, certificate: peer.subject });
    },
  });
  const figures = new LinkFigures();
  const known = [...options.plugins];
  const questions = new Questions();
  const context: SessionContext = {
    publisher,
    held: new HeldManifests(publisher, log),
    version: options.version,
    log,
    answered: (session, answer) => questions.answered(session, answer),
    shares: (session, message) => desk.receive(session, message),
    counts: (session, message) => void countsDesk.receive(session, message),
    takeHealth: (session, length) => nodes.takeHealth(session, length),
    changed: (session, change) => nodes.changed(session, change),
    acknowledged: (seconds) => figures.acknowledgements.observe(seconds),
    rejected: () => figures.rejections++,
    absentPlugins: (node) => absentPlugins(known, node),
  };
  const texts = new ManifestTexts(publisher);
  const quotas = new Quotas(log, options.mostNewNodes);
  const entrance = new Entrance({ context, nodes, claims, quotas });
  const links: Links = new Links({ context, nodes, texts, entrance, quotas });
  const https: HttpsForm = new HttpsForm({ context, nodes, texts, entrance, quotas });
  const end = (session: NodeSession): void => {
    if (!links.end(session)) https.end(session);
  };
  const tell = (session: NodeSession, order: Order): void => {
    if (!links.tell(session, order)) https.tell(session, order);
  };
  const desk = new RecordsDesk({
    records: options.records,
    tell,
    connected: (session) => nodes.get(session.node.id) === session,
    log,
  });
  const countsDesk = new CountsDesk({ counts: options.counts, tell, log });
  const onForgotten = new Set<(id: string) => void>();
  const telemetryDesk = new TelemetryDesk({
    history: options.telemetry,
    keysOf: async (id) => nodes.get(id)?.keys ?? (await options.registry.keys(id))?.keys ?? null,
    quotas,
    log,
  });
  const endOf = (id: string): void => {
    claims.forget(id);
    telemetryDesk.forget(id);
    for (const callback of onForgotten) callback(id);
    const session = nodes.get(id);
    nodes.forgetHere(id);
    if (session !== undefined) end(session);
  };
  const broadcast = (order: Order): void => {
    links.broadcast(order);
    https.broadcast(order);
  };
  const take = (message: PeerMessage): void => {
    if ('target_health' in message) {
      broadcast({ type: 'target_health', ...message.target_health });
      return;
    }
    if ('purge' in message) {
      broadcast({ type: 'purge', ...message.purge });
      return;
    }
    if ('log_level' in message) {
      options.onLogLevel?.(message.log_level);
      return;
    }
    const { forget: id } = message;
    const keys = nodes.get(id)?.keys;
    endOf(id);
    if (keys === undefined) return;
    // What was being written down here meanwhile is not to outlive it.
    nodes.forget(id, keys).catch((error) => log('warn', `data plane ${id} cannot be forgotten: ${messageOf(error)}`));
  };
  const peers = new Peers(randomUUID(), options.messages, take, log);
  const withheld = new WithheldLog(log);
  const unsubscribe = publisher.onRound(() => {
    links.publish();
    https.publish();
    withheld.tell(nodes.connected(), publisher.serial());
  });

  // Whoever was connected when this control plane was killed is not connected now.
  await options.registry.left(null, options.id);
  const servers: ClusterServer[] = [];
  const mtlsServers: MtlsServer[] = [];
  const forLinks: ClusterServerOptions = {
    log,
    request: (request, response, peer) => void https.handle(request, response, peer, false),
    upgrade(request, socket, head, peer) {
      if (request.url?.split('?')[0] === '/v1/link') void links.accept(request, socket, head, peer);
      else endUpgrade(socket, '404 Not Found', 'no such endpoint');
    },
  };
  const forTelemetry: ClusterServerOptions = {
    log,
    request(request, response, peer) {
      const [pathname = ''] = (request.url ?? '').split('?');
      if (telemetryDesk.isFor(pathname)) void telemetryDesk.handle(request, response, peer);
      else void https.handle(request, response, peer, true);
    },
  };
  const mtls = (served: ClusterServerOptions) => () => {
    const server = createMtlsServer({ ...served, identity: { tls, revocation, publicPair } });
    mtlsServers.push(server);
    return server;
  };
  async function listen(
    setting: string,
    addresses: readonly Address[],
    create: () => ClusterServer,
  ): Promise<Address[]> {
    const bound: Address[] = [];
    for (const address of addresses) {
      const server = create();
      servers.push(server);
      bound.push(
        await server.listen(address).catch((error) => {
          throw bindFailure(setting, address, error);
        }),
      );
    }
    return bound;
  }

  async function close(): Promise<void> {
    unsubscribe();
    peers.stop();
    desk.stop();
    nodes.stopping();
    https.close();
    telemetryDesk.close();
    await links.close();
    await Promise.all(servers.map((server) => server.close()));
    await nodes.stop();
  }

  try {
    const addresses = await listen('cluster_listen', options.listen, mtls(forLinks));
    const telemetryAddresses = await listen('cluster_telemetry_listen', options.telemetryListen, mtls(forTelemetry));
    const developmentAddresses = await listen('cluster_dev_listen', options.developmentListen ?? [], () =>
      createDevelopmentServer(forLinks),
    );
    return {
      addresses,
      telemetryAddresses,
      developmentAddresses,
      self: { id: options.id, version: options.version },
      nodes,
      publisher,
      figures,
      waitingRecords: () => desk.waiting,
      get telemetry() {
        return telemetryDesk.figures;
      },
      async setTargetHealth(order) {
        broadcast({ type: 'target_health', ...order });
        await peers.spread({ target_health: order });
      },
      async purge(order) {
        broadcast({ type: 'purge', ...order });
        await peers.spread({ purge: order });
      },
      setLogLevel: (order) => peers.spread({ log_level: order }),
      copies: (key, plugin) =>
        Promise.all(
          [...nodes.connected()].map(async (session) => {
            const answer = await questions.ask(session, (id) => tell(session, { type: 'show_copy', id, key, plugin }));
            return answer === null ? null : { node: session.node.id, status: answer.status, body: answer.body };
          }),
        ),
      async forget(id) {
        endOf(id);
        const known = await nodes.forget(id);
        await peers.spread({ forget: id });
        return known;
      },
      onForgotten(callback) {
        onForgotten.add(callback);
        return () => void onForgotten.delete(callback);
      },
      async explain(request, node) {
        const newest = () =>
          [...nodes.connected()].toSorted((a, b) => (b.record.serial ?? 0) - (a.record.serial ?? 0))[0];
        const asked = node === undefined ? newest() : nodes.get(node);
        if (asked === undefined) return { outcome: 'disconnected' };
        const answer = await questions.ask(asked, (id) => tell(asked, { type: 'explain', id, request }));
        if (answer === null) return { outcome: 'silent' };
        return { outcome: 'answered', node: asked.node.id, status: answer.status, body: answer.body };
      },
      replay: (replay) =>
        replayOn(nodes.connected(), replay, (session, order, patience) =>
          questions.ask(session, (id) => tell(session, { ...order, id }), patience),
        ),
      renew(identity) {
        for (const server of mtlsServers) server.renew(identity);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
