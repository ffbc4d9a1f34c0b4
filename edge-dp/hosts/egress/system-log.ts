import { spawn } from 'node:child_process';
import type { SyslogEntry } from '../../proxy/egress/host-services.ts';
import { EgressError } from './failure.ts';

/** Where the daemon listens. */
export const SYSLOG_SOCKET = '/dev/log';
/** Longest line in bytes: as much as a packet takes. */
const LONGEST = 65_000;
/** Entries that may wait for their turn. */
const MOST_WAITING = 10_000;
/** Milliseconds `logger` may take for those it was given: a daemon that takes none holds it for ever. */
const PATIENCE = 60_000;

interface Batch {
  readonly entries: SyslogEntry[];
  readonly written: Promise<void>;
  readonly settle: PromiseWithResolvers<void>;
}

/**
 * The machine's syslog. Node knows no datagram sockets of Unix, so `logger` (util-linux) is the one to write: once for all that has
 * come while it wrote the last time.
 */
export class SystemLog {
  readonly #socket: string;
  readonly #tag: string;
  #waiting: Batch | null = null;
  #running = false;
  readonly #most: number;
  readonly #patience: number;

  /** `tag`: as whom it writes. */
  constructor(socket: string, tag: string, { most = MOST_WAITING, patience = PATIENCE } = {}) {
    this.#socket = socket;
    this.#tag = tag;
    this.#most = most;
    this.#patience = patience;
  }

  /** Resolves when the daemon has them. Rejects with an `EgressError`. */
  write(entries: readonly SyslogEntry[]): Promise<void> {
    if (this.#waiting === null) {
      const settle = Promise.withResolvers<void>();
      settle.promise.catch(() => {});
      this.#waiting = { entries: [], written: settle.promise, settle };
    }
    const batch = this.#waiting;
    // Who brings them tells that they are lost.
    if (batch.entries.length + entries.length > this.#most)
      return Promise.reject(this.#failure('too many entries wait'));
    batch.entries.push(...entries);
    if (!this.#running) void this.#work();
    return batch.written;
  }

  async #work(): Promise<void> {
    this.#running = true;
    for (let batch = this.#waiting; batch !== null; batch = this.#waiting) {
      this.#waiting = null;
      await this.#run(batch.entries).then(batch.settle.resolve, batch.settle.reject);
    }
    this.#running = false;
  }

  #run(entries: readonly SyslogEntry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (what: string): void => reject(this.#failure(what));
      const options = ['--socket', this.#socket, '--socket-errors=on', '--prio-prefix', '--size', String(LONGEST)];
      const child = spawn('logger', [...options, '--tag', this.#tag], {
        stdio: ['pipe', 'ignore', 'pipe'],
        timeout: this.#patience,
        killSignal: 'SIGKILL',
      });
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = `${said}${text}`.slice(-500);
      });
      child.on('error', (error) => fail(`the program 'logger' (util-linux) cannot be started: ${error.message}`));
      child.on('close', (code, signal) => {
        if (code === 0 && said === '') resolve();
        else if (signal === 'SIGKILL') fail(`not all was taken within ${this.#patience} ms`);
        else fail(said.trim() || `exit code ${code}`);
      });
      child.stdin.on('error', () => {});
      child.stdin.end(entries.map(({ priority, text }) => `<${priority}>${text.replace(/[\n\r]+/g, ' ')}\n`).join(''));
    });
  }

  #failure(what: string): EgressError {
    return new EgressError('unreachable', false, `syslog at ${this.#socket}: ${what}`);
  }
}
