import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { messageOf } from '../../../shared/thrown.ts';
import type { ListeningSocket } from '../listening-socket.ts';
import type { DataPlaneOptions } from '../options.ts';
import { writeOutput } from '../output.ts';
import { lockPrefix, type PrefixLock } from '../prefix-lock.ts';
import { openSockets, type PlannedListener, planListeners } from './listeners.ts';
import type { Log } from './run.ts';
import { RunFolder } from './run-folder.ts';
import { SupervisorProcess } from './supervisor-process.ts';

/** What is to be known of a node before its sockets are opened: where it is, and where it listens. */
export type LaunchOptions = Pick<
  DataPlaneOptions,
  'prefix' | 'proxyListen' | 'statusListen' | 'streamListen' | 'processes' | 'log' | 'output'
>;

/** What differs between runtimes before it is known what a node serves. */
export interface LaunchedRuntime {
  /** It listens for streams (`streamListen`). */
  readonly takesStreams: boolean;
  /** Folder of the node's id and compiled code. */
  readonly identityFolder: string;
  /** Paths of the Unix sockets between the node's own processes, which `folder` is for. */
  internalPaths(folder: string): readonly string[];
  /** Descriptors of each process that the supervisor is to start before it knows what that is to serve. */
  begin(listeners: readonly PlannedListener[], processes: number): readonly (readonly number[])[];
}

/** A node's prefix, sockets and supervisor process: what there is of it before it is known what it serves. */
export class Launch {
  readonly folder: RunFolder;
  /** What the processes say. */
  onLog: Log;
  /** With the ports really bound, once they are. */
  listeners: readonly PlannedListener[];
  readonly #runtime: LaunchedRuntime;
  readonly #processes: number;
  readonly #lock: PrefixLock;
  #supervisor: SupervisorProcess | null = null;
  #ending = false;
  #ended = false;

  private constructor(
    options: LaunchOptions,
    runtime: LaunchedRuntime,
    listeners: readonly PlannedListener[],
    lock: PrefixLock,
  ) {
    this.onLog = saying(options);
    this.listeners = listeners;
    this.folder = new RunFolder(resolve(options.prefix));
    this.#runtime = runtime;
    this.#processes = options.processes;
    this.#lock = lock;
  }

  /** Takes the prefix, opens the sockets and starts the supervisor on them. Rejects, with nothing left behind, when a port or the prefix is taken. */
  static async begin(options: LaunchOptions, runtime: LaunchedRuntime): Promise<Launch> {
    const prefix = resolve(options.prefix);
    const listeners = await plannedListeners(options, runtime);
    mkdirSync(prefix, { recursive: true, mode: 0o700 });
    const lock = await lockPrefix(prefix);
    let launch: Launch | null = null;
    try {
      launch = new Launch(options, runtime, listeners, lock);
      await launch.open();
      return launch;
    } catch (error) {
      if (launch === null) lock.release();
      else await endTelling(launch, 0, options);
      throw error;
    }
  }

  /** Null: it has ended, or none was started yet. */
  get supervisor(): SupervisorProcess | null {
    return this.#supervisor;
  }

  /** It ends, or is to. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Opens the sockets, but for those that are held since the last supervisor ended, and starts another on them. */
  async open(): Promise<SupervisorProcess> {
    // From the opening of the sockets to their release nothing may wait (see openListeningSockets). What is slow comes after, while the
    // supervisor is loaded.
    const paths = this.#runtime.internalPaths(this.folder.sockets);
    const held = this.#heldSockets(paths.length);
    const sockets = await openSockets(this.listeners, paths, held);
    let supervisor: SupervisorProcess;
    try {
      if (this.#ending) throw new Error('it is to stop');
      supervisor = new SupervisorProcess(
        sockets.map(({ descriptor }) => descriptor),
        (level, message) => this.onLog(level, message),
        join(this.#runtime.identityFolder, 'compiled'),
        this.#runtime.begin(this.listeners, this.#processes),
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
    this.listeners = this.listeners.map((planned, place) => ({
      ...planned,
      listener: { ...planned.listener, port: sockets[place]?.port ?? planned.listener.port },
    }));
    return supervisor;
  }

  /**
   * Ends all there is, with `drain` ms for requests in flight. Called again meanwhile, the shorter time counts. Throws what the disk refused
   * to have removed.
   */
  async end(drain: number): Promise<void> {
    this.#ending = true;
    // Whoever comes from now on is refused as soon as the last process has ended.
    this.#supervisor?.release();
    await this.#supervisor?.stop(drain);
    this.#supervisor = null;
    // Once: what lies there from now on is of whoever takes the prefix next.
    if (this.#ended) return;
    this.#ended = true;
    try {
      this.folder.remove();
    } finally {
      this.#lock.release();
    }
  }

  /** The sockets of a supervisor that was killed, by their places: no connection is refused while there is no other. All or none, UDP apart. */
  #heldSockets(internal: number): ReadonlyMap<number, ListeningSocket> {
    const held = this.#supervisor?.sockets ?? new Map<number, never>();
    const wanted = this.listeners.filter(({ udp }) => udp === null).length + internal;
    if (held.size !== wanted) return new Map();
    return new Map(
      [...held].map(([place, socket]) => [place, { ...socket, port: this.listeners[place]?.listener.port ?? 0 }]),
    );
  }
}

/** A disk that cannot be written to is said: the next start removes what is left, and a lock is none once this process has ended. */
export async function endTelling(
  launch: Launch,
  drain: number,
  { log, prefix }: Pick<LaunchOptions, 'log' | 'prefix'>,
): Promise<void> {
  try {
    await launch.end(drain);
  } catch (error) {
    log('warn', `left behind in ${prefix}: ${messageOf(error)}`);
  }
}

/** What a node of these options listens on. Rejects naming the setting whose host name does not resolve. */
export async function plannedListeners(
  options: Pick<LaunchOptions, 'proxyListen' | 'statusListen' | 'streamListen' | 'processes'>,
  { takesStreams }: LaunchedRuntime,
): Promise<readonly PlannedListener[]> {
  const { processes, streamListen = [] } = options;
  return [
    ...(await planListeners('proxy_listen', options.proxyListen, processes)),
    ...(await planListeners('status_listen', options.statusListen, processes)),
    ...(await planListeners('stream_listen', takesStreams ? streamListen : [], processes)),
  ];
}

/** What the processes say, as these options have it written. */
export function saying(options: Pick<DataPlaneOptions, 'log' | 'output'>): Log {
  return (level, message) => {
    if (level === 'stdout' || level === 'stderr') writeOutput(options, level, message);
    else options.log(level, message);
  };
}
