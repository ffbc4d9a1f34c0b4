import { closeSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';

import type { Log } from '../instance/log.ts';

/** What the signals to a running instance ask for. */
export interface Signals {
  /** Resolves with the first signal that asks to stop; another one, once it is no echo, ends the process at once. */
  readonly stop: Promise<string>;
  readonly stopping: boolean;
  /** Calls back at every SIGHUP from now on; those that came before are told at once, as one. */
  onReload(callback: () => void): void;
}

/** Kong's images are stopped with SIGQUIT, nginx's graceful stop. */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;
/** Milliseconds. */
const ECHO = 500;

/** Listens from the first moment on, so that no signal has its default effect, which is to kill. */
export function listenForSignals(log: Log): Signals {
  const { promise: stop, resolve } = Promise.withResolvers<string>();
  let stoppedAt: number | null = null;
  const askToStop = (why: string): void => {
    // A terminal's interrupt comes twice under npm, which passes on what its child has had already.
    if (stoppedAt !== null && performance.now() - stoppedAt > ECHO) process.exit(1);
    if (stoppedAt !== null) return;
    stoppedAt = performance.now();
    log('notice', `${why}: finishing what is in flight`);
    resolve(why);
  };
  for (const name of STOP_SIGNALS) process.on(name, () => askToStop(name));
  if (process.env.npm_command !== undefined) watchShell(() => askToStop('the shell of npm ended'));

  let reload: (() => void) | null = null;
  let missed = false;
  // Both: a session of its own (setsid) has none, whatever its output goes to; under nohup the output goes elsewhere.
  const atTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor)) && hasTerminal();
  process.on('SIGHUP', () => {
    if (atTerminal && !hasTerminal()) askToStop('the terminal was closed');
    else if (reload === null) missed = true;
    else reload();
  });
  // nginx's "reopen the logs" and "replace the executable": sent by log rotation, fatal by default (or Node's debugger).
  for (const name of ['SIGUSR1', 'SIGUSR2'] as const) {
    process.on(name, () =>
      log(
        'info',
        `${name}: nothing to do: the log goes to standard error, and files of access logs are opened anew for each batch of lines`,
      ),
    );
  }
  return {
    stop,
    get stopping() {
      return stoppedAt !== null;
    },
    onReload(callback) {
      reload = callback;
      if (missed) callback();
    },
  };
}

/** Whether the controlling terminal is still there: SIGHUP says that it is gone, or that someone wants a reload. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/** npm runs us in a shell, and a SIGTERM for npm ends that shell without reaching us: its end is our signal. */
function watchShell(ended: () => void): void {
  const shell = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(watch);
    ended();
  }, 250).unref();
}
