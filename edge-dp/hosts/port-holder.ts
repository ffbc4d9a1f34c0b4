import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Which process listens on a TCP port of this machine, in words ("nginx, process 812"), or null when that cannot be
 * seen: on systems without /proc, and for other users' processes.
 */
export function portHolder(port: number): string | null {
  const sockets = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningInodes(table, port)));
  const holder = entries('/proc').find((pid) => /^\d+$/.test(pid) && holdsOne(pid, sockets));
  if (holder === undefined) return null;
  return `${(contents(`/proc/${holder}/comm`) ?? 'a program').trim()}, process ${holder}`;
}

/** State 0A is LISTEN; columns as in proc(5). */
function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return (contents(table) ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === '0A' && local?.endsWith(suffix))
    .map((columns) => `socket:[${columns[9]}]`);
}

function holdsOne(pid: string, sockets: ReadonlySet<string>): boolean {
  return entries(`/proc/${pid}/fd`).some((descriptor) => {
    try {
      return sockets.has(readlinkSync(`/proc/${pid}/fd/${descriptor}`));
    } catch {
      return false; // Closed while it was looked at.
    }
  });
}

/** Nothing for what is not there (any more) or not ours to see. */
function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function contents(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
