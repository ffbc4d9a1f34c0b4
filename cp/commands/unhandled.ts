import type { Log } from '../instance/log.ts';

/** From now on a fault that nobody has caught is told and is one thing's: no reason to leave all that are connected. */
export function outliveUnhandled(log: Log): void {
  process.on('unhandledRejection', (error) => {
    log('error', `not handled: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  });
}
