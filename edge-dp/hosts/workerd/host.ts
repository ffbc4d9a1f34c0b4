import { hkdfSync, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import packageJson from '../../../package.json' with { type: 'json' };
import { EGRESS_TOKEN } from '../../proxy/egress/protocol.ts';
import type { WorkerSettings } from '../../settings.ts';
import { bundleWorker, WORKER_ENTRY } from '../bundle-worker.ts';
import { probeControlPlane } from '../control-plane-probe.ts';
import { nodeIdentity } from '../node-identity.ts';
import type { DataPlane, DataPlaneOptions } from '../options.ts';
import { lockPrefix, type PrefixLock } from '../prefix-lock.ts';
import { WORKERD_CAPABILITIES } from './capabilities.ts';
import { type ControlPlaneAddress, KV_SOCKET, NODE_SOCKET, type WorkerdNode, workerdConfig } from './config.ts';
import { contactLinkOwner } from './first-contact.ts';
import { openSockets, type PlannedListener, planListeners } from './listeners.ts';
import type { SupervisorPlan } from './messages.ts';
import { type Generation, RunFolder } from './run-folder.ts';
import { SupervisorProcess } from './supervisor-process.ts';

const KV_ENTRY = fileURLToPath(new URL('../kv-service/worker.ts', import.meta.url));

/** Milliseconds requests in flight get by default: Kong's `graceful_shutdown_timeout`. */
const DRAIN = 10_000;
/** Milliseconds before everything is started again when the supervisor process itself died. */
const RELAUNCH_PAUSE = 500;

/**
 * Runs a data plane node on workerd: `processes` workerd processes on one set of listening sockets, and an egress
 * process beside them, all kept running by a supervisor process. Resolves when every process serves. Rejects, with
 * everything taken down again, when a port is taken, the prefix is in use, or a process does not come up.
 * `entry` is the Worker's main module.
 */
export async function startWorkerdHost(options: DataPlaneOptions, entry: string = WORKER_ENTRY): Promise<DataPlane> {
  const prefix = resolve(options.prefix);
  const nodeId = await nodeIdentity(prefix);
  const listeners = [
    ...(await planListeners('proxy_listen', options.proxyListen)),
    ...(await planListeners('status_listen', options.statusListen)),
  ];
  const lock = await lockPrefix(prefix);
  const host = new WorkerdHost(options, entry, prefix, nodeId, listeners, lock);
  try {
    await host.launch();
  } catch (error) {
    await host.stop(0);
    throw error;
  }
  return host;
}

class WorkerdHost implements DataPlane {
  readonly nodeId: string;
  readonly #entry: string;
  readonly #prefix: string;
  readonly #lock: PrefixLock;
  readonly #folder: RunFolder;
  #options: DataPlaneOptions;
  /** With the ports really bound, once they are. */
  #listeners: readonly PlannedListener[];
  #supervisor: SupervisorProcess | null = null;
  #generation: Generation | null = null;
  #stopping = false;

  constructor(
    options: DataPlaneOptions,
    entry: string,
    prefix: string,
    nodeId: string,
    listeners: readonly PlannedListener[],
    lock: PrefixLock,
  ) {
    this.nodeId = nodeId;
    this.#options = options;
    this.#entry = entry;
    this.#prefix = prefix;
    this.#listeners = listeners;
    this.#lock = lock;
    this.#folder = new RunFolder(prefix);
  }

  get proxyAddresses(): DataPlane['proxyAddresses'] {
    return this.#addresses('proxy');
  }

  get statusAddresses(): DataPlane['statusAddresses'] {
    return this.#addresses('status');
  }

  pids(): readonly number[] {
    return this.#supervisor?.pids ?? [];
  }

  async reload(options: DataPlaneOptions = this.#options): Promise<void> {
    if (this.#supervisor === null) throw new Error('the data plane does not run');
    this.#listeners = await keepAddresses(this.#listeners, options);
    if (options.processes !== this.#options.processes) throw new Error('another number of processes needs a restart');
    if (JSON.stringify(namedControlPlanes(options)) !== JSON.stringify(namedControlPlanes(this.#options))) {
      throw new Error('cluster_control_plane: other names than at the start need a restart');
    }
    const before = this.#generation;
    const generation = await this.#writeGeneration(options);
    try {
      await this.#supervisor.reload(this.#plan(options, generation), DRAIN);
      await contactLinkOwner(this.#socketPath(NODE_SOCKET));
    } catch (error) {
      generation.remove();
      throw error;
    }
    this.#options = options;
    this.#generation = generation;
    before?.remove();
    this.#probeControlPlanes();
  }

  async stop(drain: number = DRAIN): Promise<void> {
    this.#stopping = true;
    await this.#supervisor?.stop(drain);
    this.#supervisor = null;
    this.#folder.remove();
    this.#lock.release();
  }

  /** Opens the sockets, starts the processes, waits until they serve. */
  async launch(): Promise<void> {
    // Everything slow first: from the opening of the sockets to their release nothing may wait (see openListeningSockets).
    await Promise.all([bundleWorker(this.#entry), bundleWorker(KV_ENTRY)]);
    const paths = this.#internalPaths(this.#options);
    const sockets = await openSockets(this.#listeners, paths);
    const supervisor = new SupervisorProcess(
      sockets.map(({ descriptor }) => descriptor),
      this.#options.log,
    );
    for (const socket of sockets) socket.release();
    this.#supervisor = supervisor;
    if (supervisor.pid !== null) this.#lock.shareWith(supervisor.pid);
    // The ports really bound are kept from now on, also when everything has to be opened anew.
    this.#listeners = this.#listeners.map((planned, place) => ({
      ...planned,
      listener: { ...planned.listener, port: sockets[place]?.port ?? planned.listener.port },
    }));
    this.#generation = await this.#writeGeneration(this.#options);
    await supervisor.start(this.#plan(this.#options, this.#generation));
    await contactLinkOwner(this.#socketPath(NODE_SOCKET));
    supervisor.ended.then((how) => this.#relaunch(how));
    this.#probeControlPlanes();
  }

  /** The supervisor was killed, and its processes with it: open and start everything again. */
  async #relaunch(how: string): Promise<void> {
    for (let pause = RELAUNCH_PAUSE; !this.#stopping; pause = Math.min(pause * 2, 10_000)) {
      this.#options.log('error', `the supervisor process ended: ${how}\nstarting everything again in ${pause} ms`);
      await sleep(pause);
      if (this.#stopping) return;
      try {
        await this.launch();
        return;
      } catch (error) {
        how = error instanceof Error ? error.message : String(error);
        await this.#supervisor?.stop(0);
      }
    }
  }

  async #writeGeneration(options: DataPlaneOptions): Promise<Generation> {
    const [worker, kv] = await Promise.all([bundleWorker(this.#entry), bundleWorker(KV_ENTRY)]);
    const generation = this.#folder.nextGeneration();
    generation.write('worker.js', worker.code);
    generation.write('kv.js', kv.code);
    const durableObjects = join(this.#prefix, 'durable-objects');
    mkdirSync(durableObjects, { recursive: true, mode: 0o700 });
    const node: WorkerdNode = {
      settings: this.#workerSettings(options),
      workerScript: 'worker.js',
      kvScript: 'kv.js',
      durableObjects,
      controlPlanes: this.#controlPlaneAddresses(options),
      clusterTls: options.clusterTls,
      listeners: this.#listeners.map(({ name, service, listener }) => ({
        name,
        service,
        port: listener.port,
        tls: listener.tls ?? null,
      })),
      internal: { node: this.#socketPath(NODE_SOCKET), kv: this.#socketPath(KV_SOCKET) },
      egress: { path: this.#socketPath('egress'), token: this.#egressToken, tokenHeader: EGRESS_TOKEN },
      declarative: writeDeclarative(generation, options),
    };
    generation.write('first.capnp', workerdConfig(node, 'first'));
    generation.write('other.capnp', workerdConfig(node, 'other'));
    return generation;
  }

  readonly #egressToken = randomBytes(24).toString('base64url');

  #plan(options: DataPlaneOptions, generation: Generation): SupervisorPlan {
    const listeners = this.#listeners.map(({ name, service }, place) => ({
      name,
      descriptor: SupervisorProcess.descriptorAt(place),
      servedBy: service === 'proxy' ? ('all' as const) : ('first' as const),
    }));
    const internal = [NODE_SOCKET, KV_SOCKET].map((name, place) => ({
      name,
      descriptor: SupervisorProcess.descriptorAt(listeners.length + place),
      servedBy: 'first' as const,
    }));
    const egress = listeners.length + internal.length;
    return {
      firstConfig: join(generation.path, 'first.capnp'),
      otherConfig: join(generation.path, 'other.capnp'),
      processes: options.processes,
      sockets: [...listeners, ...internal],
      egress: {
        descriptor: SupervisorProcess.descriptorAt(egress),
        token: this.#egressToken,
        relays: namedControlPlanes(options).map(({ host, port }, place) => ({
          descriptor: SupervisorProcess.descriptorAt(egress + 1 + place),
          host,
          port,
        })),
      },
    };
  }

  /** Paths of the internal sockets, in the order `#plan` counts on. */
  #internalPaths(options: DataPlaneOptions): readonly string[] {
    const relays = namedControlPlanes(options).map((_, place) => relaySocket(place));
    return [NODE_SOCKET, KV_SOCKET, 'egress', ...relays].map((name) => this.#socketPath(name));
  }

  #socketPath(name: string): string {
    return join(this.#folder.sockets, `${name}.sock`);
  }

  #controlPlaneAddresses(options: DataPlaneOptions): readonly ControlPlaneAddress[] {
    const named = namedControlPlanes(options);
    return options.controlPlanes.map((controlPlane) => {
      const relay = named.indexOf(controlPlane);
      if (relay >= 0) return `unix:${this.#socketPath(relaySocket(relay))}`;
      const { host, port } = controlPlane;
      return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
    });
  }

  #workerSettings(options: DataPlaneOptions): WorkerSettings {
    const ports = (tls: boolean): number | null =>
      this.proxyAddresses.find((address) => address.tls === tls)?.port ?? null;
    return {
      node: {
        id: this.nodeId,
        hostname: options.hostname,
        version: packageJson.version,
        host: 'workerd',
        group: options.group,
        labels: options.labels,
        capabilities: WORKERD_CAPABILITIES,
      },
      cluster: options.trustedKeys.cluster,
      trustedKeys: options.trustedKeys.keys,
      controlPlanes: options.controlPlanes.length,
      ...cacheSettings(options),
      newsInterval: options.newsInterval,
      proxy: { ...options.proxy, ports: { http: ports(false), https: ports(true) } },
    };
  }

  #addresses(service: PlannedListener['service']): DataPlane['proxyAddresses'] {
    return this.#listeners
      .filter((planned) => planned.service === service)
      .map(({ listener: { host, port, tls } }) => ({ host, port, tls: tls !== undefined }));
  }

  /** In the background: a control plane that cannot be reached is a reason to log, not to stop. */
  #probeControlPlanes(): void {
    const { clusterTls, controlPlanes, log } = this.#options;
    if (clusterTls === null) return;
    for (const { host, port } of controlPlanes) {
      probeControlPlane(host, port, clusterTls).then((finding) => {
        if (finding !== null && !this.#stopping) log('warn', `control plane ${host}:${port}: ${finding}`);
      });
    }
  }
}

/**
 * Control planes given by name. workerd would resolve a name once, at its start, for good: they are reached through
 * relays of the egress process, TLS still end to end.
 */
function namedControlPlanes({ controlPlanes }: DataPlaneOptions): DataPlaneOptions['controlPlanes'] {
  return controlPlanes.filter(({ host }) => isIP(host) === 0);
}

function relaySocket(place: number): string {
  return `control-plane-${place + 1}`;
}

function writeDeclarative(generation: Generation, { declarative }: DataPlaneOptions): string | null {
  if (declarative === null) return null;
  generation.write('declarative/manifest', JSON.stringify(declarative.manifest));
  for (const { name, gzip } of declarative.objects) generation.write(`declarative/objects/${name}`, gzip);
  return join(generation.path, 'declarative');
}

/** As in Kong, the cache is encrypted with a key derived from the cluster's private key; without one there is nothing to cache. */
function cacheSettings({ cacheMode, clusterTls }: DataPlaneOptions): Pick<WorkerSettings, 'cacheMode' | 'cacheKey'> {
  if (cacheMode !== 'encrypted') return { cacheMode };
  if (clusterTls === null) return { cacheMode: 'off' };
  const key = hkdfSync('sha256', clusterTls.key, '', 'holdfast config cache', 32);
  return { cacheMode, cacheKey: Buffer.from(key).toString('base64') };
}

/** The listeners with what may change of them (certificates) taken from `options`. Throws when an address would change. */
async function keepAddresses(
  listeners: readonly PlannedListener[],
  options: DataPlaneOptions,
): Promise<readonly PlannedListener[]> {
  const wanted = [
    ...(await planListeners('proxy_listen', options.proxyListen)),
    ...(await planListeners('status_listen', options.statusListen)),
  ];
  if (wanted.length !== listeners.length) throw new Error('other listeners than at the start need a restart');
  return listeners.map((bound, place) => {
    const now = wanted[place];
    const samePort = now?.listener.port === 0 || now?.listener.port === bound.listener.port;
    if (now === undefined || now.name !== bound.name || now.address !== bound.address || !samePort) {
      throw new Error(`${bound.setting}: another address than at the start needs a restart`);
    }
    return { ...now, listener: { ...now.listener, port: bound.listener.port } };
  });
}
