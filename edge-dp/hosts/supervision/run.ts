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
 * Starts `command` so that it cannot outlive this process: a shell becomes the command (same process id) after
 * leaving behind a watcher that reads descriptor 3. When this process dies, however it dies, the watcher sees the end
 * of that pipe and kills the command. `descriptors` become 4, 5, … of the command.
 */
export function spawnTethered(command: readonly string[], descriptors: readonly (number | 'pipe')[]): ChildProcess {
  return spawn('/bin/sh', ['-c', TETHER, 'sh', ...command], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...descriptors],
    cwd: '/',
  });
}

/** A line on descriptor 3 means that the command has ended by itself: its process id may be someone else's by now. */
const TETHER = '{ read -r line <&3 || kill -KILL $$; } >/dev/null 2>&1 & exec "$@" 3<&-';

/** Ends the watcher of a tethered process that has ended. */
export function releaseTether(child: ChildProcess): void {
  // Of one that could not be started there are none, whatever the types say.
  const pipe = child.stdio?.[3];
  if (pipe && 'end' in pipe) {
    pipe.on('error', () => {});
    pipe.end('\n');
  }
}
