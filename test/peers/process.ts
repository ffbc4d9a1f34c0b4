import { type ChildProcess, spawn } from 'node:child_process';
import { once } from '../once.ts';

/** A running program of another project, and what it has said. */
export interface RunningPeer {
  readonly child: ChildProcess;
  said(): string;
  stop(): Promise<void>;
}

export function startPeer(executable: string, parameters: readonly string[]): RunningPeer {
  const child = spawn(executable, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  child.on('error', (error) => (output += error.message));
  return {
    child,
    said: () => output,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}
