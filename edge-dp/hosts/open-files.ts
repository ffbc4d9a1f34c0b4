import { readFileSync } from 'node:fs';
import type { DataPlaneOptions } from './options.ts';

/** Each connection to a client, and each to an upstream, is one. */
const ENOUGH = 4096;

/** Says so when this process, and those it starts, may open few files: a workerd that runs out of them ends. */
export function warnOfFewOpenFiles(log: DataPlaneOptions['log']): void {
  const limit = openFileLimit();
  if (limit === null || limit >= ENOUGH) return;
  log(
    'warn',
    `only ${limit} files may be open at once in each process: with more connections than that its requests are lost; ` +
      'raise the limit (ulimit -n, LimitNOFILE of systemd, --ulimit nofile of a container)',
  );
}

/** The hard limit, to which Node raises its own; null where the system does not tell (proc(5)). */
function openFileLimit(): number | null {
  try {
    const [, hard] = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return hard === undefined ? null : Number(hard);
  } catch {
    return null;
  }
}
