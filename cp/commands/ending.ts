import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../shared/thrown.ts';
import { findInstance, findStopping, type Instance, isRunning, notRunning } from '../instance/instance.ts';
import { CommandError, folderFor, type Invocation } from './command.ts';

/** The instance of the prefix that the settings name. Throws `CommandError` when none runs. */
export function instanceOf(invocation: Invocation): Instance {
  const folder = folderFor(invocation);
  const instance = findInstance(folder);
  if (instance === null) throw new CommandError(notRunning(folder));
  return instance;
}

/** The same, or the one that is stopping there. */
export function endingOrRunning(invocation: Invocation): Instance {
  return findStopping(folderFor(invocation)) ?? instanceOf(invocation);
}

/** Milliseconds a process gets after the signal that ends it at once. */
const AT_ONCE = 5_000;

/**
 * Asks an instance to stop by `signal`; what is in flight gets `patience` milliseconds (the instance itself gives it ten
 * seconds), then is cut off. One that is stopping already is not asked again, which would cut that off now. Resolves once the process has ended; true: nothing was cut off.
 */
export async function endInstance(
  instance: Instance,
  signal: 'SIGTERM' | 'SIGQUIT',
  patience: number,
): Promise<boolean> {
  if (instance.stopping !== true) send(instance, signal);
  if (await ended(instance, patience)) return true;
  // The second signal ends it at once.
  send(instance, 'SIGTERM');
  if (await ended(instance, AT_ONCE)) return false;
  send(instance, 'SIGKILL');
  if (await ended(instance, AT_ONCE)) return false;
  throw new CommandError(`Holdfast (pid ${instance.pid}) does not end, not even by SIGKILL; the system holds on to it`);
}

function send({ pid }: Instance, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // Gone just now.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return;
    throw new CommandError(`Holdfast (pid ${pid}) cannot be told to stop: ${messageOf(error)}`);
  }
}

async function ended(instance: Instance, patience: number): Promise<boolean> {
  for (const deadline = performance.now() + patience; isRunning(instance); await sleep(50)) {
    if (performance.now() > deadline) return false;
  }
  return true;
}
