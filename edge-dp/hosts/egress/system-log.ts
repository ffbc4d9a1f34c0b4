import { spawn } from 'node:child_process';
import type { SyslogEntry } from '../../proxy/egress/host-services.ts';
import { EgressError } from './failure.ts';

/** Where the daemon listens. */
export const SYSLOG_SOCKET = '/dev/log';
/** Longest line in bytes: as much as a packet takes. */
const LONGEST = 65_000;
/** Entries that may wait for their turn; the oldest go first. */
const MOST_WAITING = 10_000;

interface Batch {
  entries: SyslogEntry[];
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

  /** `tag`: as whom it writes. */
  constructor(socket: string, tag: string) {
    this.#socket = socket;
    this.#tag = tag;
  }

  /** Resolves when the daemon has them. Rejects with an `EgressError`. */
  write(entries: readonly SyslogEntry[]): Promise<void> {
    if (this.#waiting === null) {
      const settle = Promise.withResolvers<void>();
      settle.promise.catch(() => {});
      this.#waiting = { entries: [], written: settle.promise, settle };
    }
    const batch = this.#waiting;
    batch.entries.push(...entries);
    if (batch.entries.length > MOST_WAITING) batch.entries = batch.entries.slice(-MOST_WAITING);
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
      const fail = (what: string): void =>
        reject(new EgressError('unreachable', false, `syslog at ${this.#socket}: ${what}`));
      const options = ['--socket', this.#socket, '--socket-errors=on', '--prio-prefix', '--size', String(LONGEST)];
      const child = spawn('logger', [...options, '--tag', this.#tag], { stdio: ['pipe', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = `${said}${text}`.slice(-500);
      });
      child.on('error', (error) => fail(`the program 'logger' (util-linux) cannot be started: ${error.message}`));
      child.on('close', (code) => (code === 0 && said === '' ? resolve() : fail(said.trim() || `exit code ${code}`)));
      child.stdin.on('error', () => {});
      child.stdin.end(entries.map(({ priority, text }) => `<${priority}>${text.replace(/[\n\r]+/g, ' ')}\n`).join(''));
    });
  }
}
