import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { messageOf } from '../../shared/thrown.ts';
import type { CertificateInUse } from '../pki/certificate-dates.ts';
import type { Log } from './log.ts';

/** What a running instance leaves in its prefix for `health` and `reload` to find it by. */
export interface Instance {
  readonly pid: number;
  /** What tells the process from a later one with the same id, where the system has it. */
  readonly born?: string;
  readonly role: string;
  /** The configuration file it reads; absent: none. */
  readonly conf?: string;
  /** What it works with; `health` tells of those that expire. */
  readonly certificates: readonly CertificateInUse[];
  /**
   * How many reloads it has been through, why the last one failed, and when that began, by the clock that all processes of a machine share
   * and nobody sets (nanoseconds); an earlier version does not say. `half`: the control plane has what is new all the same.
   */
  readonly reloads: {
    readonly count: number;
    readonly failure: string | null;
    readonly half?: boolean;
    readonly began?: string;
  };
  /** Base URLs; absent where the role has none. */
  readonly admin?: string;
  readonly status?: string;
  /** Where data planes under development link (`cluster_dev_listen`). */
  readonly development?: string;
  /** It has been told to stop, and finishes what is in flight: it takes nothing new, but all that it had is taken still. */
  readonly stopping?: true;
}

const FILE = 'instance.json';

export const NO_RELOADS: Instance['reloads'] = { count: 0, failure: null };

/** Milliseconds between attempts to write the note where there was no space for it. */
const RETRY = 2_000;

/** The note of this process in its prefix, written anew until it is there as it should be. */
export class InstanceNote {
  readonly #prefix: string;
  readonly #log: Log;
  #instance: Instance | null = null;
  #retry: NodeJS.Timeout | undefined;
  #missing = false;

  constructor(prefix: string, log: Log) {
    this.#prefix = prefix;
    this.#log = log;
  }

  /** Never throws: that it cannot be written, a full disk most likely, is no reason not to serve. */
  write(instance: Instance): void {
    this.#instance = instance;
    clearTimeout(this.#retry);
    try {
      writeNote(this.#prefix, instance);
      if (this.#missing) this.#log('notice', `'holdfast health' and 'reload' find this instance now`);
      this.#missing = false;
    } catch (error) {
      if (!this.#missing) {
        this.#log('warn', `'holdfast reload' will not find this instance until it can be noted: ${messageOf(error)}`);
      }
      this.#missing = true;
      this.#retry = setTimeout(() => this.write(instance), RETRY).unref();
    }
  }

  /** From now on it counts as one that is stopping, until the note is removed or the process has ended. */
  stopping(): void {
    if (this.#instance !== null) this.write({ ...this.#instance, stopping: true });
  }

  /** Never throws, either: one that stays is that of a process that has ended, which counts for nothing. */
  remove(): void {
    clearTimeout(this.#retry);
    try {
      if (this.#instance !== null) rmSync(join(this.#prefix, FILE), { force: true });
    } catch (error) {
      this.#log('warn', `the note of this instance stays: ${messageOf(error)}`);
    }
    this.#instance = null;
  }
}

/** Renamed into place: whoever looks meanwhile finds the note before or this one. */
function writeNote(prefix: string, instance: Instance): void {
  const path = join(prefix, FILE);
  try {
    mkdirSync(prefix, { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.new`, `${JSON.stringify({ ...instance, born: birth(instance.pid) })}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    rmSync(`${path}.new`, { force: true });
    throw error;
  }
}

/** What `health` and `reload` say where `findInstance` finds none. */
export function notRunning(prefix: string): string {
  try {
    readFileSync(join(prefix, FILE));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EACCES')
      return `whether Holdfast runs at ${prefix} is not for this user to know: ask as the one it runs as, or as root`;
  }
  const ending = findStopping(prefix);
  if (ending !== null) return `Holdfast (pid ${ending.pid}) is stopping at ${prefix}: it finishes what is in flight`;
  return `Holdfast is not running at ${prefix}; start it with 'holdfast start', or name its folder with --prefix`;
}

/** The instance that runs in `prefix`, or null when none does (one that is stopping, or a note left by a killed one, does not count). */
export function findInstance(prefix: string): Instance | null {
  const instance = findNoted(prefix);
  return instance?.stopping === true ? null : instance;
}

/** The instance of `prefix` that has been told to stop, and has not ended yet. */
export function findStopping(prefix: string): Instance | null {
  const instance = findNoted(prefix);
  return instance?.stopping === true ? instance : null;
}

function findNoted(prefix: string): Instance | null {
  let instance: Instance;
  try {
    // One of an earlier version told less.
    instance = { certificates: [], reloads: NO_RELOADS, ...JSON.parse(readFileSync(join(prefix, FILE), 'utf8')) };
  } catch {
    return null;
  }
  return isRunning(instance) ? instance : null;
}

/** Whether the process is there still, and the same. One that has ended and waits for its parent to notice is not. */
export function isRunning({ pid, born }: Pick<Instance, 'pid' | 'born'>): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Another user's process is there all the same.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  return birth(pid) === born;
}

/** proc(5): field 3 is the state, 22 the start time; the name in field 2 may hold spaces and ends with the last parenthesis. */
function birth(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? undefined : fields[18];
  } catch {
    return undefined;
  }
}
