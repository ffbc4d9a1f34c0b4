import { type ChildProcess, spawn } from 'node:child_process';
import { type HeldSocket, heldSocket } from '../held-socket.ts';
import { moduleFile } from '../module-file.ts';
import { isMessage } from './message.ts';
import { FIRST_DESCRIPTOR, type FromSupervisor, type SupervisorPlan, type ToSupervisor } from './messages.ts';
import { endOf, type Log, Output } from './run.ts';

const MAIN = moduleFile('./supervisor', import.meta.url);

/** A reload that some processes have been through, and others not. */
export class HalfReloaded extends Error {
  override readonly name = 'HalfReloaded';
}

/** The host's end of a supervisor process. */
export class SupervisorProcess {
  readonly #child: ChildProcess;
  readonly ended: Promise<string>;
  /** How it ended; null: it runs. */
  #end: string | null = null;
  #pids: readonly number[] = [];
  readonly #sockets = new Map<number, HeldSocket>();
  #holds = true;
  /** Who waits for the answer to a command; commands are answered in the order they were given. */
  readonly #waiting: { resolve(): void; reject(error: Error): void }[] = [];

  /**
   * Starts it with listening sockets' descriptors; it takes `descriptors[i]` as `descriptorAt(i)`. `compiled`: the folder in which it, and
   * what it starts on Node, keep compiled code, which the next start needs not compile again. `begun`: descriptors of each process of Node's
   * that it is to start at once, and to tell later what it serves.
   */
  constructor(descriptors: readonly number[], log: Log, compiled: string, begun: readonly (readonly number[])[]) {
    this.#child = spawn(process.execPath, [MAIN, ...begun.map((own) => own.join(','))], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...descriptors],
      cwd: '/',
      env: { NODE_COMPILE_CACHE: compiled, ...process.env },
      // Its own process group: a terminal's interrupt must not reach the processes that finish requests in flight.
      detached: true,
    });
    const output = new Output();
    output.read(this.#child.stdout, (line) => log('info', line));
    output.read(this.#child.stderr, (line) => log('warn', line));
    this.ended = endOf(this.#child, output);
    this.#child.on('message', (message, handle) => {
      if (isMessage<FromSupervisor>(message)) this.#receive(message, handle, log);
    });
    this.ended.then((how) => {
      this.#end = how;
      this.#pids = [];
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`the supervisor process ended: ${how}`));
    });
  }

  static descriptorAt(place: number): number {
    return FIRST_DESCRIPTOR + place;
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  get pids(): readonly number[] {
    return this.#pids;
  }

  /** Its listening sockets by the places they were given to it in, held here as well as soon as it runs. */
  get sockets(): ReadonlyMap<number, HeldSocket> {
    return this.#sockets;
  }

  /** Lets go of its sockets that are held here, and of those that come from now on. */
  release(): void {
    this.#holds = false;
    for (const socket of this.#sockets.values()) socket.release();
    this.#sockets.clear();
  }

  /** Resolves when all processes serve; rejects with the words of one that does not come up. */
  start(plan: SupervisorPlan): Promise<void> {
    return this.#command({ type: 'start', plan });
  }

  /** Rejects with `HalfReloaded` where files of both plans are still needed. */
  reload(plan: SupervisorPlan, drain: number): Promise<void> {
    return this.#command({ type: 'reload', plan, drain });
  }

  /** Resolves when it and everything below it has ended. */
  async stop(drain: number): Promise<void> {
    this.#send({ type: 'stop', drain });
    const late = setTimeout(() => this.#child.kill('SIGKILL'), drain + 5_000);
    await this.ended;
    clearTimeout(late);
  }

  #command(command: ToSupervisor): Promise<void> {
    if (this.#end !== null) return Promise.reject(new Error(`the supervisor process ended: ${this.#end}`));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#send(command);
    });
  }

  #send(command: ToSupervisor): void {
    // One that is gone cannot be told; `ended` says so to whoever waits.
    if (this.#child.connected) this.#child.send(command, () => {});
  }

  #receive(message: FromSupervisor, handle: unknown, log: Log): void {
    switch (message.type) {
      case 'socket': {
        const held = heldSocket(handle);
        if (held === null) break;
        if (this.#holds) this.#sockets.set(message.place, held);
        else held.release();
        break;
      }
      case 'done':
        this.#waiting.shift()?.resolve();
        break;
      case 'failed':
        this.#waiting.shift()?.reject(message.half ? new HalfReloaded(message.reason) : new Error(message.reason));
        break;
      case 'pids':
        this.#pids = message.pids;
        break;
      case 'log':
        log(message.level, message.message);
        break;
    }
  }
}
