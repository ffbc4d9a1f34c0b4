import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../shared/thrown.ts';
import type { ForwardProxy } from '../forward-proxy.ts';
import type { ListeningSocket } from '../listening-socket.ts';
import { nodeIdentity } from '../node-identity.ts';
import { warnOfFewOpenFiles } from '../open-files.ts';
import type { ClusterTls, DataPlane, DataPlaneOptions } from '../options.ts';
import { writeOutput } from '../output.ts';
import { lockPrefix, type PrefixLock } from '../prefix-lock.ts';
import { setDamagedStorageAside } from './damaged-storage.ts';
import { openSockets, type PlannedListener, planListeners } from './listeners.ts';
import type { SupervisorPlan } from './messages.ts';
import type { Log } from './run.ts';
import { type Generation, RunFolder } from './run-folder.ts';
import { HalfReloaded, SupervisorProcess } from './supervisor-process.ts';

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
export interface SupervisedRuntime {
  /** It listens for streams (`streamListen`). */
  readonly takesStreams: boolean;
  /** Folder of the node's id and databases. */
  readonly identityFolder: string;
  readonly storage: string;
  /** Paths of the Unix sockets between the node's own processes, which `folder` is for. */
  internalPaths(options: DataPlaneOptions, folder: string): readonly string[];
  /** Descriptors of each process that the supervisor is to start before it knows what that is to serve. */
  begin(listeners: readonly PlannedListener[], processes: number): readonly (readonly number[])[];
  /** Throws when a running node cannot take `options` in place of those it runs by. */
  mayReload(options: DataPlaneOptions, before: DataPlaneOptions): void;
  /** Writes the files of a generation. Sockets were opened in the order: listeners, then `internalPaths`. */
  writePlan(parts: NodeParts, generation: Generation, folder: string): Promise<SupervisorPlan>;
}

/**
 * Runs a data plane node: processes on one set of listening sockets, all kept running by a supervisor process. Resolves when
 * every process serves. Rejects, with everything taken down again, when a port is taken, the prefix is in use, or a process does
 * not come up.
 */
export async function startSupervised(options: DataPlaneOptions, runtime: SupervisedRuntime): Promise<DataPlane> {
  const prefix = resolve(options.prefix);
  const listeners = await allListeners(options, runtime);
  mkdirSync(prefix, { recursive: true, mode: 0o700 });
  const lock = await lockPrefix(prefix);
  let host: SupervisedHost | null = null;
  try {
    // What follows changes what is there: not where another node runs.
    const nodeId = await nodeIdentity(runtime.identityFolder, options.nodeId);
    host = new SupervisedHost(options, runtime, nodeId, listeners, lock);
    mkdirSync(runtime.storage, { recursive: true, mode: 0o700 });
    warnOfFewOpenFiles(options.log);
    // Not at every launch: no process of an earlier node is left once the prefix is locked.
    await host.launch(() => setDamagedStorageAside(runtime.storage, options.log));
  } catch (error) {
    if (host === null) lock.release();
    else await host.stop(0);
    throw error;
  }
  return host;
}

class SupervisedHost implements DataPlane {
  readonly nodeId: string;
  readonly #runtime: SupervisedRuntime;
  readonly #lock: PrefixLock;
  readonly #folder: RunFolder;
  #options: DataPlaneOptions;
  /** With the ports really bound, once they are. */
  #listeners: readonly PlannedListener[];
  #supervisor: SupervisorProcess | null = null;
  #stopping = false;
  /** By control plane, what was found wrong with it and told; until the link is up, or a reload. */
  readonly #findings = new Map<string, string>();

  constructor(
    options: DataPlaneOptions,
    runtime: SupervisedRuntime,
    nodeId: string,
    listeners: readonly PlannedListener[],
    lock: PrefixLock,
  ) {
    this.nodeId = nodeId;
    this.#options = options;
    this.#runtime = runtime;
    this.#listeners = listeners;
    this.#lock = lock;
    this.#folder = new RunFolder(resolve(options.prefix));
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
    return this.#supervisor?.pids ?? [];
  }

  async reload(options: DataPlaneOptions = this.#options): Promise<void> {
    if (this.#supervisor === null) throw new Error('the data plane does not run');
    if (options.processes !== this.#options.processes) throw new Error('another number of processes needs a restart');
    this.#runtime.mayReload(options, this.#options);
    const listeners = await keepAddresses(this.#listeners, options, this.#runtime);
    const generation = this.#folder.nextGeneration();
    try {
      await this.#supervisor.reload(await this.#writePlan(options, listeners, generation), DRAIN);
    } catch (error) {
      // When it fails half-way there are processes of both generations: the files of both stay.
      if (!(error instanceof HalfReloaded)) this.#folder.drop(generation);
      throw error;
    }
    this.#folder.keepOnly(generation);
    this.#listeners = listeners;
    this.#options = options;
    // Whoever reloaded to mend it is told that it is no better.
    this.#findings.clear();
    this.#probeControlPlanes();
  }

  async stop(drain: number = DRAIN): Promise<void> {
    this.#stopping = true;
    // Whoever comes from now on is refused as soon as the last process has ended.
    this.#supervisor?.release();
    await this.#supervisor?.stop(drain);
    this.#supervisor = null;
    try {
      this.#folder.remove();
      this.#lock.release();
    } catch (error) {
      // A disk that cannot be written to: the next start removes it, and a lock is none once this process has ended.
      this.#options.log('warn', `left behind in ${this.#options.prefix}: ${messageOf(error)}`);
    }
  }

  /** Opens the sockets, starts the processes, waits until they serve. `before`: what is to be done before any of them serves. */
  async launch(before: () => void = () => undefined): Promise<void> {
    // From the opening of the sockets to their release nothing may wait (see openListeningSockets). What is slow comes after, while the
    // supervisor is loaded.
    const held = this.#heldSockets();
    const sockets = await openSockets(this.#listeners, this.#internalPaths(), held);
    let supervisor: SupervisorProcess;
    try {
      if (this.#stopping) throw new Error('it is to stop');
      supervisor = new SupervisorProcess(
        sockets.map(({ descriptor }) => descriptor),
        this.#log,
        join(this.#runtime.identityFolder, 'compiled'),
        this.#runtime.begin(this.#listeners, this.#options.processes),
      );
    } catch (error) {
      // This process would accept on them from now on; those that were held go on being so.
      for (const [place, socket] of sockets.entries()) if (!held.has(place)) socket.release();
      throw error;
    }
    for (const socket of sockets) socket.release();
    this.#supervisor = supervisor;
    if (supervisor.pid !== null) this.#lock.shareWith(supervisor.pid);
    // The ports really bound are kept from now on, also when everything has to be opened anew.
    this.#listeners = this.#listeners.map((planned, place) => ({
      ...planned,
      listener: { ...planned.listener, port: sockets[place]?.port ?? planned.listener.port },
    }));
    before();
    const generation = this.#folder.nextGeneration();
    try {
      await supervisor.start(await this.#writePlan(this.#options, this.#listeners, generation));
    } catch (error) {
      this.#folder.drop(generation);
      throw error;
    }
    this.#folder.keepOnly(generation);
    supervisor.ended.then((how) => this.#relaunch(how));
    this.#probeControlPlanes();
  }

  /** The sockets of a supervisor that was killed, by their places: no connection is refused while there is no other. All or none, UDP apart. */
  #heldSockets(): ReadonlyMap<number, ListeningSocket> {
    const held = this.#supervisor?.sockets ?? new Map<number, never>();
    const wanted = this.#listeners.filter(({ udp }) => udp === null).length + this.#internalPaths().length;
    if (held.size !== wanted) return new Map();
    return new Map(
      [...held].map(([place, socket]) => [place, { ...socket, port: this.#listeners[place]?.listener.port ?? 0 }]),
    );
  }

  /** The supervisor was killed, and its processes with it: start everything again on the sockets that are left. */
  async #relaunch(how: string): Promise<void> {
    for (let pause = RELAUNCH_PAUSE; !this.#stopping; pause = Math.min(pause * 2, 10_000)) {
      this.#options.log('error', `the supervisor process ended: ${how}\nstarting everything again in ${pause} ms`);
      await sleep(pause);
      if (this.#stopping) return;
      try {
        await this.launch();
        this.#options.log('warn', 'the data plane is running again');
        return;
      } catch (error) {
        how = messageOf(error);
        await this.#supervisor?.stop(0);
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
    return this.#runtime.writePlan({ options, nodeId, listeners, storage }, generation, this.#folder.sockets);
  }

  #internalPaths(): readonly string[] {
    return this.#runtime.internalPaths(this.#options, this.#folder.sockets);
  }

  #addresses(service: PlannedListener['service']): DataPlane['proxyAddresses'] {
    return this.#listeners
      .filter((planned) => planned.service === service && (planned.udp?.process ?? 0) === 0)
      .map(({ listener: { host, port, tls } }) => ({ host, port, tls: tls !== undefined }));
  }

  /** What the processes say; after a link has failed, with what is wrong in plain words, which the Worker cannot see. */
  readonly #log: Log = (level, message) => {
    if (level === 'stdout' || level === 'stderr') {
      writeOutput(this.#options, level, message);
      return;
    }
    this.#options.log(level, message);
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
        if (finding === null || this.#stopping || this.#findings.get(name) === finding) return;
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

async function allListeners(
  options: DataPlaneOptions,
  { takesStreams }: SupervisedRuntime,
): Promise<readonly PlannedListener[]> {
  const { processes, streamListen = [] } = options;
  return [
    ...(await planListeners('proxy_listen', options.proxyListen, processes)),
    ...(await planListeners('status_listen', options.statusListen, processes)),
    ...(await planListeners('stream_listen', takesStreams ? streamListen : [], processes)),
  ];
}

/** The listeners with what may change of them (certificates) taken from `options`. Throws when an address would change. */
async function keepAddresses(
  listeners: readonly PlannedListener[],
  options: DataPlaneOptions,
  runtime: SupervisedRuntime,
): Promise<readonly PlannedListener[]> {
  const wanted = await allListeners(options, runtime);
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
