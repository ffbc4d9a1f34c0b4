import { execFileSync, spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { descendants } from '../proc.ts';

/** Whether processes can be pinned here: Linux with taskset and at least two cores. */
const pinning = process.platform === 'linux' && cpus().length > 1 && spawnSync('taskset', ['-V']).status === 0;

/** Pins a process with all its threads and descendants: the gateway to core 0, everything else to core 1. */
export function pin(pid: number | undefined, core: 0 | 1): void {
  if (!pinning || pid === undefined) return;
  for (const each of [pid, ...descendants(pid)]) {
    spawnSync('taskset', ['-acp', String(core), String(each)]);
  }
}

/** What the numbers were taken on. */
export function machine(): string {
  const model = cpus()[0]?.model ?? 'unknown processor';
  const kernel = process.platform === 'linux' ? execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim() : '';
  return `${cpus().length} × ${model}, ${process.platform} ${kernel}, Node ${process.version}${pinning ? ', pinned' : ''}`;
}
