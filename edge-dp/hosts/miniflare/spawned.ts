import { AsyncLocalStorage } from 'node:async_hooks';
import type { ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';

const spawning = new AsyncLocalStorage<Set<ChildProcess>>();

// Miniflare starts workerd by itself and tells nobody its process id; Node tells whoever listens.
subscribe('child_process', (message) => {
  const children = spawning.getStore();
  if (children === undefined || !isSpawned(message)) return;
  const { process: child } = message;
  children.add(child);
  child.once('exit', () => children.delete(child));
});

/** Runs `start`; `pids` are the processes it has spawned, then or later, and that still run. */
export function spawnedBy<T>(start: () => T): { readonly started: T; readonly pids: () => readonly number[] } {
  const children = new Set<ChildProcess>();
  const started = spawning.run(children, start);
  return { started, pids: () => [...children].flatMap(({ pid }) => (pid === undefined ? [] : [pid])) };
}

function isSpawned(message: unknown): message is { readonly process: ChildProcess } {
  return typeof message === 'object' && message !== null && 'process' in message;
}
