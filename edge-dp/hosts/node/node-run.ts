import type { ChildProcess } from 'node:child_process';
import { isMessage } from '../supervision/message.ts';
import type { PlannedSocket } from '../supervision/messages.ts';
import { endOf, Output, type Run } from '../supervision/run.ts';
import type { RuntimeLog } from '../supervision/runtime-log.ts';
import { settingsAt } from '../worker-settings.ts';
import { beginProcess, isRunning } from './begin-process.ts';
import { FIRST_DESCRIPTOR, type FromProcess, type ToProcess } from './messages.ts';
import type { NodePlan } from './plan.ts';

/**
 * Starts one process. It is ready when it serves all `sockets` and has gone through its start sequence. `begun`: one that was started
 * for these sockets already.
 */
export function runNode(
  { main, process: plan }: NodePlan,
  sockets: readonly PlannedSocket[],
  { place, count }: { readonly place: number; readonly count: number },
  runtimeLog: RuntimeLog,
  begun: ChildProcess | null = null,
): Run {
  const early = begun !== null && isRunning(begun) ? begun : null;
  const child = early ?? beginProcess(sockets.map(({ descriptor }) => descriptor));
  const output = new Output();
  for (const stream of [child.stdout, child.stderr]) output.read(stream, (line) => runtimeLog.line(line));
  const ended = endOf(child, output);
  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (message) => {
      if (!isMessage<FromProcess>(message)) return;
      if (message.type === 'ready') resolve();
      else reject(new Error(message.reason));
    });
    ended.then((how) => reject(new Error(`node ended at its start: ${how}`)));
  });
  ready.catch(() => {});
  const tell = (message: ToProcess): void => {
    // One that is gone cannot be told; `ended` says so to whoever waits.
    if (child.connected) child.send(message, () => {});
  };
  const descriptors = Object.fromEntries(sockets.map(({ name }, place) => [name, FIRST_DESCRIPTOR + place]));
  const settings = settingsAt(plan.settings, place, count);
  tell({ type: 'load', main });
  tell({ type: 'start', plan: { ...plan, settings }, first: place === 0, cold: early !== null, descriptors });
  return {
    pid: child.pid ?? null,
    ready,
    ended,
    terminate: (drain) => tell({ type: 'stop', drain }),
    kill: () => child.kill('SIGKILL'),
    tellRestarts: (total) => tell({ type: 'restarts', total }),
  };
}
