import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** Whether processes can be pinned here: Linux with taskset and at least two cores. */
const pinning = process.platform === 'linux' && cpus().length > 1 && spawnSync('taskset', ['-V']).status === 0;

/** Pins a process with all its threads and descendants: the gateway to core 0, everything else to core 1. */
export function pin(pid: number | undefined, core: 0 | 1): void {
  if (!pinning || pid === undefined) return;
  for (const each of [pid, ...descendants(pid)]) {
    spawnSync('taskset', ['-acp', String(core), String(each)]);
  }
}

/** The process ids below `pid`, nearest first. Empty where /proc does not tell. */
export function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of process.platform === 'linux' ? readdirSync('/proc') : []) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    } catch {
      // Gone between listing and reading.
    }
  }
  const found: number[] = [];
  for (let queue = [pid]; queue.length > 0; ) {
    const next = queue.flatMap((each) => children.get(each) ?? []);
    found.push(...next);
    queue = next;
  }
  return found;
}

/** What the numbers were taken on. */
export function machine(): string {
  const model = cpus()[0]?.model ?? 'unknown processor';
  const kernel = process.platform === 'linux' ? execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim() : '';
  return `${cpus().length} × ${model}, ${process.platform} ${kernel}, Node ${process.version}${pinning ? ', pinned' : ''}`;
}
