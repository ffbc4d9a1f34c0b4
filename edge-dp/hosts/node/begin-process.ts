import { type ChildProcess, spawn } from 'node:child_process';
import { moduleFile } from '../module-file.ts';

const BEGIN = moduleFile('./process/begin', import.meta.url);

/**
 * Starts a process that is to serve on these descriptors of listening sockets, of which it is to be told what and how: until then it
 * loads what it needs in any case. Throws what `spawn` throws.
 */
export function beginProcess(descriptors: readonly number[]): ChildProcess {
  const child = spawn(process.execPath, [BEGIN], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...descriptors],
    cwd: '/',
  });
  // Whoever has it run something is told otherwise; nobody may have yet.
  child.on('error', () => {});
  return child;
}

/** Whether a process was started and has not ended. */
export function isRunning({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}
