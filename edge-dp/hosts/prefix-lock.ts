import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The exclusive use of a prefix: two nodes on the same Durable Object databases would ruin them. */
export interface PrefixLock {
  /** Hands the lock to another process, which keeps it even when this one is gone. */
  passTo(pid: number): void;
  release(): void;
}

/** Milliseconds to wait for the processes of a host that was killed a moment ago. */
const PATIENCE = 5_000;

/** Takes the lock, or throws naming the process that has it. A lock whose process is gone does not count. */
export async function lockPrefix(prefix: string): Promise<PrefixLock> {
  const path = join(prefix, 'data-plane.lock');
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const holder = take(path);
    if (holder === null) break;
    if (performance.now() > deadline) {
      throw new Error(
        `prefix: a data plane already runs in ${prefix} (process ${holder}); give this one another prefix`,
      );
    }
    await sleep(100);
  }
  return {
    passTo: (pid) => writeFileSync(path, identify(pid) ?? '', { mode: 0o600 }),
    release: () => rmSync(path, { force: true }),
  };
}

/** Null when the lock is now this process's, else the holder's process id. */
function take(path: string): string | null {
  const mine = identify(process.pid) ?? '';
  try {
    writeFileSync(path, mine, { flag: 'wx', mode: 0o600 });
    return null;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const [pid = '', ...rest] = readFileSync(path, 'utf8').split(' ');
  if (identify(Number(pid)) === [pid, ...rest].join(' ')) return pid;
  // Its holder is gone: the next turn of the loop finds the place free.
  rmSync(path, { force: true });
  return take(path);
}

/** A process id with its start time where the system tells, since ids come round again. Null: no such process. */
function identify(pid: number): string | null {
  if (!Number.isInteger(pid) || pid < 1) return null;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return null;
  }
  try {
    // proc(5): field 22 is the start time; the name in field 2 may hold spaces and ends with the last parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : `${pid} ${fields[19]}`;
  } catch {
    return `${pid}`;
  }
}
