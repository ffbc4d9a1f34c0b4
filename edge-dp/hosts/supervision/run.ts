import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** `stdout` and `stderr`: what is to be written there as it is. */
export type LogLevel = 'info' | 'notice' | 'warn' | 'error' | 'stdout' | 'stderr';
export type Log = (level: LogLevel, message: string) => void;

/** One operating system process, from its start to its end. */
export interface Run {
  /** Null: the system did not let it start. */
  readonly pid: number | null;
  /** Resolves when it serves; rejects with the reason when it ends before. */
  readonly ready: Promise<void>;
  /** How it ended, in words, with the last lines it wrote. Never rejects. */
  readonly ended: Promise<string>;
  /** Asks it to finish what it is doing and end; `drain`: milliseconds until it is killed. */
  terminate(drain: number): void;
  kill(): void;
  /** Tells it how many processes of the node were started again by now, which its metrics show; the first process is told. */
  tellRestarts(total: number): void;
}

/** How many of a process's last lines a report of its end shows. */
const LAST_LINES = 20;

/** Keeps a process's last lines while passing them on. */
export class Output {
  readonly #lines: string[] = [];

  /** Hands every line of `stream` to `onLine` and remembers the last ones. A process that could not be started has none. */
  read(stream: Readable | null | undefined, onLine: (line: string) => void): void {
    if (!stream) return;
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
      this.#lines.push(line);
      if (this.#lines.length > LAST_LINES) this.#lines.shift();
      onLine(line);
    });
  }

  /** `how` with the last lines, if any, below it. */
  endedWith(how: string): string {
    return this.#lines.length === 0 ? how : `${how}; its last lines:\n  ${this.#lines.join('\n  ')}`;
  }
}

/** Resolves with how a child ended ("exit code 1", "signal SIGKILL", or why it could not be started). */
export function endOf(child: ChildProcess, output: Output): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(output.endedWith(`could not be started: ${error.message}`)));
    // The pipes may still hold its last words when the exit is seen.
    child.once('exit', (code, signal) =>
      setTimeout(() => resolve(output.endedWith(signal === null ? `exit code ${code}` : `signal ${signal}`)), 20),
    );
  });
}

/**
 * Starts `command` so that it cannot outlive this process: beside it a watcher reads a pipe of this process. When this process dies,
 * however it dies, the watcher sees the end of the pipe and kills the command. Both are children of this process, which waits for
 * them when they end: nobody else may, in a container. `descriptors` become 4, 5, … of the command. Throws what `spawn` throws.
 */
export function spawnTethered(
  command: readonly string[],
  descriptors: readonly (number | 'pipe')[],
  environment: NodeJS.ProcessEnv = process.env,
): ChildProcess {
  const child = spawn('/bin/sh', ['-c', WHEN_WATCHED, 'sh', ...command], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...descriptors],
    cwd: '/',
    env: environment,
  });
  if (child.pid === undefined) return child;
  try {
    const watcher = spawn('/bin/sh', ['-c', WATCH, 'sh', String(child.pid)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
    });
    watchers.set(child, watcher);
    watcher.once('error', () => child.kill('SIGKILL'));
    watcher.stdin?.on('error', () => {});
    const start = child.stdio[3];
    if (watcher.pid !== undefined && start && 'end' in start) start.on('error', () => {}).end('\n');
    return child;
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** By their commands. */
const watchers = new WeakMap<ChildProcess, ChildProcess>();

/** The shell becomes the command, with the same process id, once it is told that it is watched; should this process die before, it ends. */
const WHEN_WATCHED = 'read -r line <&3 && exec "$@" 3<&-';

/** A line means that the command has ended by itself: its process id may be someone else's by now. */
const WATCH = 'read -r line || kill -KILL "$1"';

/** Ends the watcher of a tethered process that has ended. */
export function releaseTether(child: ChildProcess): void {
  watchers.get(child)?.stdin?.end('\n');
}
