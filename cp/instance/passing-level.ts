import type { Log } from './log.ts';
import type { LogLevel } from './log-levels.ts';

/** Milliseconds that a timer can wait, some 24 days; one that is to wait for longer goes off at once. */
const LONGEST = 2 ** 31 - 1;

/**
 * The level of a log, and a way to change it for a while: then the log has the level again that it had before, however often that was
 * done. A level that comes by another way, such as a reload of the settings, stays.
 */
export function passingLevel(log: Log) {
  let passing: { readonly level: LogLevel; readonly usual: LogLevel; readonly timer: NodeJS.Timeout } | null = null;
  return {
    get: () => log.level,
    set(level: LogLevel, seconds: number) {
      const usual = passing !== null && passing.level === log.level ? passing.usual : log.level;
      clearTimeout(passing?.timer);
      log.level = level;
      const over = (): void => {
        passing = null;
        if (log.level === level) log.level = usual;
      };
      passing = { level, usual, timer: setTimeout(over, Math.min(seconds * 1000, LONGEST)).unref() };
    },
  };
}
