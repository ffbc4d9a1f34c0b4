/** nginx's levels, as `log_level` takes them, from the most to the least talkative. */
const LOG_LEVELS = ['debug', 'info', 'notice', 'warn', 'error', 'crit'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes one line: time, level, the part that speaks, message. */
export interface Log {
  (level: LogLevel, message: string): void;
  /** The same log under another part's name. */
  part(name: string): Log;
  /** Messages below this level are dropped. May be changed while running (`/debug/node/log-level`). */
  level: LogLevel;
}

/** A log on standard error, which keeps standard output for what a command was asked to print. */
export function createLog(level: LogLevel, write: (line: string) => void = writeToStderr): Log {
  const shared = { level };
  const named = (name: string): Log => {
    const log = (severity: LogLevel, message: string) => {
      if (LOG_LEVELS.indexOf(severity) < LOG_LEVELS.indexOf(shared.level)) return;
      write(`${new Date().toISOString()} [${severity}] ${name}: ${message.replaceAll('\n', '\n    ')}\n`);
    };
    return Object.defineProperty(Object.assign(log, { part: named }), 'level', {
      get: () => shared.level,
      set: (next: LogLevel) => {
        shared.level = next;
      },
    }) as Log;
  };
  return named('holdfast');
}

function writeToStderr(line: string): void {
  process.stderr.write(line);
}
