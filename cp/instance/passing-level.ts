import type { Log } from './log.ts';
import type { LogLevel } from './log-levels.ts';

/** Milliseconds that a timer can wait, some 24 days; one that is to wait for longer goes off at once. */
const LONGEST = 2 ** 31 - 1;

/** The level of a log, and a way to change it for a while: then the log has the level again that it has now, however often that was done. */
export function passingLevel(log: Log) {
  const usual = log.level;
  let restore: NodeJS.Timeout | undefined;
  return {
    get: () => log.level,
    set(next: LogLevel, seconds: number) {
      clearTimeout(restore);
      log.level = next;
      restore = setTimeout(
        () => {
          log.level = usual;
        },
        Math.min(seconds * 1000, LONGEST),
      ).unref();
    },
  };
}
