import { setTimeout as sleep } from 'node:timers/promises';
import type { Log, Run } from './run.ts';

/** Milliseconds before the first restart; doubled each time up to the longest. */
const SHORTEST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;
/** A process that lived this long had a good start: the next pause is the shortest again. */
const GOOD_LIFE = 10_000;

/** A place in which one process is always running: restarted when it ends by itself, replaced or stopped on demand. */
export class Slot {
  readonly name: string;
  #start: () => Run;
  readonly #log: Log;
  readonly #changed: () => void;
  readonly #restarted: () => void;
  #current: Run | null = null;
  #pause = SHORTEST_PAUSE;
  #restart: NodeJS.Timeout | null = null;

  /**
   * `changed` is called whenever the process id may be another, and when one that was started again serves; `restarted` when one is
   * started in place of one that ended by itself.
   */
  constructor(name: string, start: () => Run, log: Log, changed: () => void, restarted: () => void) {
    this.name = name;
    this.#start = start;
    this.#log = log;
    this.#changed = changed;
    this.#restarted = restarted;
  }

  get pid(): number | null {
    return this.#current?.pid ?? null;
  }

  /** See `Run`. */
  tellRestarts(total: number): void {
    this.#current?.tellRestarts(total);
  }

  /** First start. Rejects with the process's own words when it does not come up: nothing is restarted then. */
  async open(): Promise<void> {
    const run = this.#start();
    await run.ready;
    this.#adopt(run);
  }

  /**
   * Puts a process made by `start` in place of the running one. With `overlap` the new one serves before the old one
   * is asked to end; without, after the old one has ended (they share what only one may hold). The old one gets
   * `drain` ms. Rejects when the new one does not come up; then a process made the old way is running.
   */
  async replace(start: () => Run, drain: number, overlap: boolean): Promise<void> {
    const old = this.#current;
    this.#cancelRestart();
    if (!overlap) await this.stop(drain);
    const run = start();
    try {
      await run.ready;
    } catch (error) {
      if (this.#current === null) this.#restartSoon('has no successor: the new one did not come up');
      throw error;
    }
    this.#start = start;
    this.#adopt(run);
    if (overlap && old !== null) await end(old, drain);
  }

  /** Asks the process to end, kills it after `drain` ms, and leaves the slot empty. */
  async stop(drain: number): Promise<void> {
    this.#cancelRestart();
    const run = this.#current;
    this.#current = null;
    if (run !== null) await end(run, drain);
  }

  #adopt(run: Run): void {
    this.#cancelRestart();
    const since = performance.now();
    this.#current = run;
    this.#changed();
    run.ended.then((how) => {
      // Replaced or stopped: its end was asked for.
      if (this.#current !== run) return;
      this.#current = null;
      if (performance.now() - since > GOOD_LIFE) this.#pause = SHORTEST_PAUSE;
      this.#restartSoon(`ended: ${how}`);
    });
  }

  #restartSoon(why: string): void {
    this.#log('error', `${this.name} ${why}\nstarting it again in ${this.#pause} ms`);
    this.#restart = setTimeout(() => {
      this.#restart = null;
      this.#restarted();
      const run = this.#start();
      this.#adopt(run);
      run.ready.then(
        () => {
          this.#log('warn', `${this.name} is running again, process ${run.pid}`);
          this.#changed();
        },
        () => {}, // Its end is reported and answered by `#adopt`.
      );
    }, this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  #cancelRestart(): void {
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#restart = null;
  }
}

async function end(run: Run, drain: number): Promise<void> {
  run.terminate(drain);
  const abort = new AbortController();
  const late = sleep(drain, 'late', { signal: abort.signal }).catch(() => 'cancelled');
  if ((await Promise.race([run.ended, late])) === 'late') {
    run.kill();
    await run.ended;
  }
  abort.abort();
}
