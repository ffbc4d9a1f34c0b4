import type { LogLevel } from '../runtime/services.ts';
import { slot } from '../runtime/slot.ts';
import type { RecordedAttribute } from './span.ts';

/** What a plugin's Lua wrote for a request: a line of the log, or a record that is for collectors alone. */
export interface LogLine {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Null: a record has none. */
  readonly level: LogLevel | null;
  readonly text: string;
  readonly attributes: readonly RecordedAttribute[];
}

/** More of one request are not kept. */
const MOST = 100;

const lines = slot<LogLine[]>();

type Request = Parameters<typeof lines.get>[0];

/** Keeps a line for those who send the logs of requests on. */
export function keepLine(
  request: Request,
  level: LogLevel | null,
  text: string,
  attributes: readonly RecordedAttribute[] = [],
): void {
  const line = { at: Date.now(), level, text, attributes };
  const kept = lines.get(request);
  if (kept === undefined) lines.set(request, [line]);
  else if (kept.length < MOST) kept.push(line);
}

export function linesOf(request: Request): readonly LogLine[] {
  return lines.get(request) ?? [];
}
