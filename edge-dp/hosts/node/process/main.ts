import { flushCompileCache } from 'node:module';
import { provideByteWork } from '../../../../shared/bundle/byte-work.ts';
import { messageOf } from '../../../../shared/thrown.ts';
import { isMessage } from '../../supervision/message.ts';
import type { FromProcess, ToProcess } from '../messages.ts';
import { nodeByteWork } from '../runtime/byte-work.ts';
import { logToSupervisor } from './log.ts';
import { type Serving, startServing } from './serving.ts';
import type { WorkerModule } from './worker-module.ts';

/** Milliseconds for a process that somebody else tells to stop: Kong's `graceful_shutdown_timeout`. */
const DRAIN = 10_000;

let serving: Serving | null = null;

/** Milliseconds until most of what requests need is compiled, and kept for the next start: one that is killed keeps nothing. */
const COMPILED = 10_000;

/** Runs the Worker in this process as its supervisor says, and ends with it. */
export function run(worker: WorkerModule): void {
  logToSupervisor();
  provideByteWork(nodeByteWork);
  process.on('message', (message) => {
    if (!isMessage<ToProcess>(message)) return;
    if (message.type === 'start') {
      startServing(worker, message).then(
        (started) => {
          serving = started;
          tell({ type: 'ready' });
          setTimeout(flushCompileCache, COMPILED).unref();
        },
        (error: unknown) => {
          tell({ type: 'failed', reason: messageOf(error) });
          setTimeout(() => process.exit(1), 20);
        },
      );
    } else if (message.type === 'restarts') serving?.tellRestarts(message.total);
    else if (message.type === 'stop') void stop(message.drain);
  });
  process.on('disconnect', () => process.exit());
  // A terminal's interrupt goes to the whole group; the host decides when this process ends.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => void stop(DRAIN));
  process.on('uncaughtException', (error) => console.error('not caught:', error));
  process.on('unhandledRejection', (error) => console.error('not handled:', error));
}

async function stop(drain: number): Promise<void> {
  await serving?.stop(drain);
  process.exit();
}

function tell(message: FromProcess): void {
  process.send?.(message, () => {});
}
