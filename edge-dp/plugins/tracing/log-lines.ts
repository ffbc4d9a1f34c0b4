import type { LogLevel } from '../runtime/services.ts';
import { slot } from '../runtime/slot.ts';

/** A line that a plugin's Lua wrote to the log for a request. */
export interface LogLine {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly level: LogLevel;
  readonly text: string;
}

/** More of one request are not kept. */
const MOST = 100;

const lines = slot<LogLine[]>();

type Request = Parameters<typeof lines.get>[0];

/** Keeps a line for those who send the logs of requests on. */
export function keepLine(request: Request, level: LogLevel, text: string): void {
  const kept = lines.get(request);
  if (kept === undefined) lines.set(request, [{ at: Date.now(), level, text }]);
  else if (kept.length < MOST) kept.push({ at: Date.now(), level, text });
}

export function linesOf(request: Request): readonly LogLine[] {
  return lines.get(request) ?? [];
}
