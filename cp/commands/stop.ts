import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, wholeNumber } from './command.ts';
import { endInstance, endingOrRunning } from './ending.ts';

/** Seconds: what an instance gives to requests in flight, and some to close its database. */
const STOP_PATIENCE = 20;
/** Seconds: Kong's. */
const QUIT_TIMEOUT = 10;

/** As SIGTERM by hand, and back when it is done. */
export const stop: Command = {
  summary: 'stop a running instance; requests in flight get up to 10 seconds',
  examples: ['holdfast stop', 'holdfast stop --prefix /var/lib/holdfast'],
  async run(invocation) {
    const instance = endingOrRunning(invocation);
    told(instance.pid, await endInstance(instance, 'SIGTERM', STOP_PATIENCE * 1000));
  },
};

/** Kong's graceful form of it, with its options. */
export const quit: Command = {
  summary: 'stop a running instance, with a time for what is in flight',
  options: {
    timeout: {
      short: 't',
      takes: 'SECONDS',
      text: `for what is in flight, then it is cut off (default: ${QUIT_TIMEOUT}, which is the most)`,
    },
    wait: { short: 'w', takes: 'SECONDS', text: 'before it is told to stop (default: 0)' },
  },
  examples: ['holdfast quit', 'holdfast quit --wait 5 --timeout 3'],
  async run(invocation) {
    const timeout = wholeNumber(invocation.options.timeout, 'timeout', 0, QUIT_TIMEOUT) ?? QUIT_TIMEOUT;
    const wait = wholeNumber(invocation.options.wait, 'wait', 0, 3600) ?? 0;
    const instance = endingOrRunning(invocation);
    await sleep(wait * 1000);
    // Closing the database is no part of the time for requests.
    const patience = timeout === QUIT_TIMEOUT ? STOP_PATIENCE : timeout;
    told(instance.pid, await endInstance(instance, 'SIGQUIT', patience * 1000));
  },
};

function told(pid: number, whole: boolean): void {
  const cut = whole ? '' : '; what was in flight for longer was cut off';
  process.stdout.write(`Holdfast (pid ${pid}) has stopped${cut}\n`);
}
