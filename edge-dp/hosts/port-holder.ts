import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Which process listens on a TCP port of this machine, in words ("nginx, process 812"), or null when that cannot be
 * seen: on systems without /proc, and for other users' processes.
 */
export function portHolder(port: number): string | null {
  try {
    const sockets = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningInodes(table, port)));
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      if (descriptorsOf(pid).some((target) => sockets.has(target))) {
        return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()}, process ${pid}`;
      }
    }
  } catch {
    // No /proc, or a process that ended while it was looked at.
  }
  return null;
}

/** State 0A is LISTEN; columns as in proc(5). */
function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync(table, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === '0A' && local?.endsWith(suffix))
    .map((columns) => `socket:[${columns[9]}]`);
}

function descriptorsOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((descriptor) => readlinkSync(`/proc/${pid}/fd/${descriptor}`));
  } catch {
    return [];
  }
}
