import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../shared/thrown.ts';
import type { ForwardProxy } from '../forward-proxy.ts';
import { nodeIdentity } from '../node-identity.ts';
import { warnOfFewOpenFiles } from '../open-files.ts';
import type { ClusterTls, DataPlane, DataPlaneOptions } from '../options.ts';
import { setDamagedStorageAside } from './damaged-storage.ts';
import { endTelling, Launch, type LaunchedRuntime, plannedListeners, saying } from './launch.ts';
import type { PlannedListener } from './listeners.ts';
import type { SupervisorPlan } from './messages.ts';
import type { Log } from './run.ts';
import type { Generation } from './run-folder.ts';
import { HalfReloaded } from './supervisor-process.ts';

/** Milliseconds requests in flight get by default: Kong's `graceful_shutdown_timeout`. */
const DRAIN = 10_000;
/** What the Worker says of a link that failed, for a reason it had not told yet, and of one that is there again. */
const LINK_FAILED = /^link to the control plane (is down|cannot be made): /;
const LINK_UP = /^link to the control plane is up/;
/** Milliseconds before everything is started again when the supervisor process itself died. */
const RELAUNCH_PAUSE = 100;

/** What one generation of a node's processes is made from. */
export interface NodeParts {
  readonly options: DataPlaneOptions;
  readonly nodeId: string;
  /** With the ports really bound. */
  readonly listeners: readonly PlannedListener[];
  /** Folder of the node's databases. */
  readonly storage: string;
}

/** What runs a node's processes: the part of a host that differs. */
export interface SupervisedRuntime extends LaunchedRuntime {
  /** Folder of the node's databases. */
  readonly storage: string;
  /** Throws when a running node cannot take `options` in place of those it runs by. */
  mayReload(options: DataPlaneOptions, before: DataPlaneOptions): void;
  /** Writes the files of a generation. Sockets were opened in the order: listeners, then `internalPaths`. */
  writePlan(parts: NodeParts, generation: Generation, folder: string): Promise<SupervisorPlan>;
}

/**
 * Runs a data plane node: processes on one set of listening sockets, all kept running by a supervisor process. Resolves when
 * every process serves. Rejects, with everything taken down again, when a port is taken, the prefix is in use, or a process does
 * not come up. `begun`: what there is of it already, begun with the same prefix, addresses and number of processes.
 */
export async function startSupervised(
  options: DataPlaneOptions,
  runtime: SupervisedRuntime,
  begun?: Launch,
): Promise<DataPlane> {
  const launch = begun ?? (await Launch.begin(options, runtime));
  try {
    const listeners = begun === undefined ? launch.listeners : await keepAddresses(launch.listeners, options, runtime);
    // What follows changes what is there: not where another node runs.
    const nodeId = await nodeIdentity(runtime.identityFolder, options.nodeId);
    const host = new SupervisedHost(options, runtime, nodeId, launch);
    launch.listeners = listeners;
    mkdirSync(runtime.storage, { recursive: true, mode: 0o700 });
    warnOfFewOpenFiles(options.log);
    // No process of an earlier node is left once the prefix is locked.
    setDamagedStorageAside(runtime.storage, options.log);
    await host.serve();
    return host;
  } catch (error) {
    await endTelling(launch, 0, options);
    throw error;
  }
}

class SupervisedHost implements DataPlane {
  readonly nodeId: string;
  readonly #runtime: SupervisedRuntime;
  readonly #launch: Launch;
  #options: DataPlaneOptions;
  /** By control plane, what was found wrong with it and told; until the link is up, or a reload. */
  readonly #findings = new Map<string, string>();

  constructor(options: DataPlaneOptions, runtime: SupervisedRuntime, nodeId: string, launch: Launch) {
    this.nodeId = nodeId;
    this.#options = options;
    this.#runtime = runtime;
    this.#launch = launch;
    launch.onLog = this.#log;
  }

  get proxyAddresses(): DataPlane['proxyAddresses'] {
    return this.#addresses('proxy');
  }

  get statusAddresses(): DataPlane['statusAddresses'] {
    return this.#addresses('status');
  }

  get streamAddresses(): DataPlane['proxyAddresses'] {
    return this.#addresses('stream');
  }

  pids(): readonly number[] {
    return this.#launch.supervisor?.pids ?? [];
  }

  async reload(options: DataPlaneOptions = this.#options): Promise<void> {
    const { supervisor, folder } = this.#launch;
    if (supervisor === null) throw new Error('the data plane does not run');
    if (options.processes !== this.#options.processes) throw new Error('another number of processes needs a restart');
    this.#runtime.mayReload(options, this.#options);
    const listeners = await keepAddresses(this.#launch.listeners, options, this.#runtime);
    const generation = folder.nextGeneration();
    try {
      await supervisor.reload(await this.#writePlan(options, listeners, generation), DRAIN);
    } catch (error) {
      // When it fails half-way there are processes of both generations: the files of both stay.
      if (!(error instanceof HalfReloaded)) folder.drop(generation);
      throw error;
    }
    folder.keepOnly(generation);
    this.#launch.listeners = listeners;
    this.#options = options;
    // Whoever reloaded to mend it is told that it is no better.
    this.#findings.clear();
    this.#probeControlPlanes();
  }

  stop(drain: number = DRAIN): Promise<void> {
    return endTelling(this.#launch, drain, this.#options);
  }

  /** Has the supervisor that was started serve, and waits until every process does. */
  async serve(): Promise<void> {
    const { supervisor, folder } = this.#launch;
    if (supervisor === null) throw new Error('it is to stop');
    const generation = folder.nextGeneration();
    try {
      await supervisor.start(await this.#writePlan(this.#options, this.#launch.listeners, generation));
    } catch (error) {
      folder.drop(generation);
      throw error;
    }
    folder.keepOnly(generation);
    supervisor.ended.then((how) => this.#relaunch(how));
    this.#probeControlPlanes();
  }

  /** The supervisor was killed, and its processes with it: start everything again on the sockets that are left. */
  async #relaunch(how: string): Promise<void> {
    for (let pause = RELAUNCH_PAUSE; !this.#launch.ending; pause = Math.min(pause * 2, 10_000)) {
      this.#options.log('error', `the supervisor process ended: ${how}\nstarting everything again in ${pause} ms`);
      await sleep(pause);
      if (this.#launch.ending) return;
      try {
        await this.#launch.open();
        await this.serve();
        this.#options.log('warn', 'the data plane is running again');
        return;
      } catch (error) {
        how = messageOf(error);
        await this.#launch.supervisor?.stop(0);
      }
    }
  }

  #writePlan(
    options: DataPlaneOptions,
    listeners: readonly PlannedListener[],
    generation: Generation,
  ): Promise<SupervisorPlan> {
    const { nodeId } = this;
    const { storage } = this.#runtime;
    return this.#runtime.writePlan({ options, nodeId, listeners, storage }, generation, this.#launch.folder.sockets);
  }

  #addresses(service: PlannedListener['service']): DataPlane['proxyAddresses'] {
    return this.#launch.listeners
      .filter((planned) => planned.service === service && (planned.udp?.process ?? 0) === 0)
      .map(({ listener: { host, port, tls } }) => ({ host, port, tls: tls !== undefined }));
  }

  /** What the processes say; after a link has failed, with what is wrong in plain words, which the Worker cannot see. */
  readonly #log: Log = (level, message) => {
    saying(this.#options)(level, message);
    if (level === 'stdout' || level === 'stderr') return;
    if (LINK_UP.test(message)) this.#findings.clear();
    else if (LINK_FAILED.test(message)) this.#probeControlPlanes();
  };

  /** In the background: a control plane that cannot be reached is a reason to log, not to stop. */
  #probeControlPlanes(): void {
    const { clusterTls, controlPlanes, forwardProxy = null, log } = this.#options;
    if (clusterTls === null) return;
    for (const { host, port } of controlPlanes) {
      const name = `control plane ${host}:${port}`;
      probe({ host, port }, clusterTls, forwardProxy).then((finding) => {
        if (finding === null || this.#launch.ending || this.#findings.get(name) === finding) return;
        this.#findings.set(name, finding);
        log('warn', `${name}: ${finding}`);
      });
    }
  }
}

/** Read when there is something to find out. */
async function probe(
  { host, port }: DataPlaneOptions['controlPlanes'][number],
  clusterTls: ClusterTls,
  forwardProxy: ForwardProxy | null,
): Promise<string | null> {
  const { probeControlPlane } = await import('../control-plane-probe.ts');
  return probeControlPlane(host, port, clusterTls, forwardProxy);
}

/** The listeners with what may change of them (certificates) taken from `options`. Throws when an address would change. */
async function keepAddresses(
  listeners: readonly PlannedListener[],
  options: DataPlaneOptions,
  runtime: SupervisedRuntime,
): Promise<readonly PlannedListener[]> {
  const wanted = await plannedListeners(options, runtime);
  if (wanted.length !== listeners.length) throw new Error('other listeners than at the start need a restart');
  return listeners.map((bound, place) => {
    const now = wanted[place];
    const samePort = now?.listener.port === 0 || now?.listener.port === bound.listener.port;
    // A name may have several addresses, and be told another one of them first each time.
    const sameAddress = now?.listener.host === bound.listener.host || now?.address === bound.address;
    if (now === undefined || now.name !== bound.name || !sameAddress || !samePort) {
      throw new Error(`${bound.setting}: another address than at the start needs a restart`);
    }
    return { ...now, address: bound.address, listener: { ...now.listener, port: bound.listener.port } };
  });
}
