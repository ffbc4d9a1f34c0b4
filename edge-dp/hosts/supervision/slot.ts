import { messageOf } from '../../../shared/thrown.ts';
import type { Log, Run } from './run.ts';

/** Milliseconds before the first restart; doubled each time up to the longest. */
const SHORTEST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;
/** A process that lived this long had a good start: the next pause is the shortest again. */
const GOOD_LIFE = 10_000;

/** A place in which one process is always running: restarted when it ends by itself, replaced on demand, until it is stopped. */
export class Slot {
  readonly name: string;
  #start: () => Run;
  readonly #log: Log;
  readonly #changed: () => void;
  readonly #restarted: () => void;
  #current: Run | null = null;
  /** On its way up: nobody counts on it yet. */
  #starting: Run | null = null;
  /** Asked to end. */
  #ending: Run | null = null;
  /** Nothing is started here any more. */
  #stopped = false;
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
    this.#adopt(await this.#up(this.#start));
  }

  /**
   * Puts a process made by `start` in place of the running one. With `overlap` the new one serves before the old one
   * is asked to end; without, after the old one has ended (they share what only one may hold). The old one gets
   * `drain` ms. Rejects when the new one does not come up; then a process made the old way is running.
   */
  async replace(start: () => Run, drain: number, overlap: boolean): Promise<void> {
    this.#cancelRestart();
    if (!overlap) await this.#endCurrent(drain);
    let run: Run;
    try {
      run = await this.#up(start);
    } catch (error) {
      if (this.#current === null && this.#restart === null && !this.#stopped)
        this.#restartSoon('has no successor: the new one did not come up');
      throw error;
    }
    this.#start = start;
    // The one there was before or, should that have ended meanwhile, the one that was started in its place.
    const before = this.#current;
    this.#adopt(run);
    if (before !== null) await this.#end(before, drain);
  }

  /**
   * Asks the process to end, kills it after `drain` ms, and leaves the place empty for good. Called again meanwhile, the shorter time
   * counts.
   */
  async stop(drain: number): Promise<void> {
    this.#stopped = true;
    this.#cancelRestart();
    const starting = this.#starting;
    starting?.kill();
    const ending = this.#ending;
    await Promise.all([this.#endCurrent(drain), starting?.ended, ending && hasEnded(ending, drain)]);
  }

  /** Starts a process and waits until it serves. */
  async #up(start: () => Run): Promise<Run> {
    if (this.#stopped) throw new Error(`${this.name} is to run no more`);
    const run = start();
    this.#starting = run;
    try {
      await run.ready;
    } finally {
      this.#starting = null;
    }
    if (!this.#stopped) return run;
    run.kill();
    throw new Error(`${this.name} is to run no more`);
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
      this.#startAgain();
    }, this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  #startAgain(): void {
    this.#restarted();
    let run: Run;
    try {
      run = this.#start();
    } catch (error) {
      // The system has no memory, or no handles, for another process just now.
      this.#restartSoon(`cannot be started: ${messageOf(error)}`);
      return;
    }
    this.#adopt(run);
    run.ready.then(
      () => {
        this.#log('warn', `${this.name} is running again, process ${run.pid}`);
        this.#changed();
      },
      () => {}, // Its end is reported and answered by `#adopt`.
    );
  }

  #cancelRestart(): void {
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#restart = null;
  }

  async #endCurrent(drain: number): Promise<void> {
    const run = this.#current;
    this.#current = null;
    if (run !== null) await this.#end(run, drain);
  }

  async #end(run: Run, drain: number): Promise<void> {
    this.#ending = run;
    run.terminate(drain);
    await hasEnded(run, drain);
    if (this.#ending === run) this.#ending = null;
  }
}

/** Waits for the end of a process that was asked to end; after `drain` ms it is killed. */
async function hasEnded(run: Run, drain: number): Promise<void> {
  const late = setTimeout(() => run.kill(), drain);
  await run.ended;
  clearTimeout(late);
}
