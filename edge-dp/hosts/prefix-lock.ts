import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The exclusive use of a prefix: two nodes on the same Durable Object databases would ruin them. */
export interface PrefixLock {
  /** Extends the lock to another process: it holds as long as one of the two lives. */
  shareWith(pid: number): void;
  release(): void;
}

/** Milliseconds to wait for what is left of a node whose host was killed. */
const PATIENCE = 5_000;

/** Takes the lock, or throws naming the process that has it. A lock whose processes are gone does not count. */
export async function lockPrefix(prefix: string): Promise<PrefixLock> {
  const path = join(prefix, 'data-plane.lock');
  const deadline = performance.now() + PATIENCE;
  const mine = identify(process.pid) ?? '';
  for (;;) {
    const holders = take(path, mine);
    if (holders === null) break;
    // Without its host a supervisor is on its way out.
    if (holders.host || performance.now() > deadline) {
      throw new Error(`prefix: a data plane already runs in ${prefix} (process ${holders.pid}); give this one another`);
    }
    await sleep(100);
  }
  return {
    shareWith: (pid) => writeFileSync(path, `${mine}\n${identify(pid) ?? ''}`, { mode: 0o600 }),
    release: () => rmSync(path, { force: true }),
  };
}

/** Null when the lock is now this process's, else who of its holders, the host or the supervisor, lives. */
function take(path: string, mine: string): { readonly host: boolean; readonly pid: string } | null {
  try {
    writeFileSync(path, mine, { flag: 'wx', mode: 0o600 });
    return null;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  for (const [place, holder] of readFileSync(path, 'utf8').split('\n').entries()) {
    const [pid = ''] = holder.split(' ');
    if (identify(Number(pid)) === holder) return { host: place === 0, pid };
  }
  // All gone: the place is free for the taking.
  rmSync(path, { force: true });
  return take(path, mine);
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
