import { readdirSync, readFileSync } from 'node:fs';

/**
 * Whether any thread of a process is there and not just waiting to be reaped. The first may be done while another still
 * holds the process's sockets.
 */
export function runs(pid: number): boolean {
  return entries(`/proc/${pid}/task`).some((thread) => {
    const state = statOf(`/proc/${pid}/task/${thread}`)?.[0];
    return state !== undefined && state !== 'Z';
  });
}

/** Processes started by a process, and by those. Empty where there is no /proc. */
export function descendants(pid: number): number[] {
  const parents = entries('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), parent: Number(statOf(`/proc/${name}`)?.[1]) }));
  const below = (top: number): number[] =>
    parents.filter(({ parent }) => parent === top).flatMap((child) => [child.pid, ...below(child.pid)]);
  return below(pid);
}

/** The words a process was started with, a NUL behind each; empty when it is gone. */
export function commandOf(pid: number): string {
  return textOf(`/proc/${pid}/cmdline`) ?? '';
}

/** Bytes of memory a process holds now; 0 when it is gone. */
export function residentMemory(pid: number): number {
  return memoryOf(pid, 'VmRSS');
}

/** The most bytes of memory a process ever held; 0 when it is gone. */
export function peakMemory(pid: number): number {
  return memoryOf(pid, 'VmHWM');
}

/** Milliseconds of processor time a process and those below it have used. 0 where there is no /proc. */
export function processorTime(pid: number): number {
  let ticks = 0;
  for (const each of [pid, ...descendants(pid)]) {
    // proc_pid_stat(5): utime and stime are the 14th and the 15th field.
    const fields = statOf(`/proc/${each}`);
    ticks += Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0);
  }
  return ticks * MILLISECONDS_A_TICK;
}

/**
 * Milliseconds of processor time that the processes below one have used in threads that are still there, finer than
 * `processorTime`. 0 where there is no /proc.
 */
export function processorTimeBelow(pid: number): number {
  let nanoseconds = 0;
  for (const each of descendants(pid)) {
    for (const thread of entries(`/proc/${each}/task`)) {
      // The first of the three numbers of schedstat is the time on the processor.
      nanoseconds += Number(textOf(`/proc/${each}/task/${thread}/schedstat`)?.split(' ')[0] ?? 0);
    }
  }
  return nanoseconds / 1e6;
}

/** USER_HZ, which is 100 on every Linux Node runs on. */
const MILLISECONDS_A_TICK = 10;

function memoryOf(pid: number, line: 'VmRSS' | 'VmHWM'): number {
  const kilobytes = new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(textOf(`/proc/${pid}/status`) ?? '')?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

/** The fields of proc_pid_stat(5) from the third, the state, on: the command before it may hold anything. */
function statOf(folder: string): string[] | undefined {
  const stat = textOf(`${folder}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** What cannot be read is gone. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Whether a connection's end at `local` asks the one at `remote` (ports) for a sign of life when that is silent. False where there is no /proc. */
export function keepsAlive(local: number, remote: number): boolean {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
  // proc(5): local address, remote address, state, queues, and which timer runs; 2 is that of keep-alive.
  const row = new RegExp(`:${hex(local)} \\S+:${hex(remote)} 01 \\S+ 02:`);
  return ['tcp', 'tcp6'].some((name) => row.test(textOf(`/proc/net/${name}`) ?? ''));
}
