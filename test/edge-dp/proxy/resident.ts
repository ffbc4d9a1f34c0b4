import { readFileSync } from 'node:fs';
import type { DataPlane } from '../../../edge-dp/hosts/options.ts';
import { commandOf, descendants } from '../hosts/processes.ts';

/** Memory of a node's workerd processes and of the egress process of this test, resident, in bytes. */
export function residentBytes(node: DataPlane): number {
  const egress = descendants(process.pid).filter((pid) => /egress\/main\.ts/.test(commandOf(pid)));
  return [...node.pids(), ...egress].reduce((sum, pid) => sum + residentOf(pid), 0);
}

function residentOf(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}
