import { LOG_LEVELS, type LogLevel } from './log-levels.ts';

/** Writes one line: time, level, the part that speaks, message. */
export interface Log {
  (level: LogLevel, message: string): void;
  /** The same log under another part's name. */
  part(name: string): Log;
  /** Messages below this level are dropped. May be changed while running (`/debug/node/log-level`). */
  level: LogLevel;
}

/** How a line is written: for people, or as a JSON object of its own. */
export type LogFormat = 'text' | 'json';

/** A log on standard error, which keeps standard output for what a command was asked to print. */
export function createLog(
  level: LogLevel,
  write: (line: string) => void = writeToStderr,
  format: LogFormat = 'text',
): Log {
  const shared = { level };
  const named = (name: string): Log => {
    const log = (severity: LogLevel, message: string) => {
      if (LOG_LEVELS.indexOf(severity) < LOG_LEVELS.indexOf(shared.level)) return;
      const time = new Date().toISOString();
      if (format === 'json') write(`${JSON.stringify({ time, level: severity, part: name, message })}\n`);
      else write(`${time} [${severity}] ${name}: ${printable(message)}\n`);
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

/** What is in a message may be others' words: nothing in it moves a terminal's cursor, or looks like a line of its own. */
function printable(message: string): string {
  return message.replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, (char) => {
    if (char === '\n') return '\n    ';
    return char === '\t' ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function writeToStderr(line: string): void {
  process.stderr.write(line);
}
