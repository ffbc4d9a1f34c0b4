import type { GatewayRequest } from '../runtime/request.ts';
import { slot } from '../runtime/slot.ts';

/** What AI plugins have to say in the log entry of a request, by the path of the field. */
const notes = slot<Map<string, unknown>>();

/** Puts JSON into the request's log entry; fields apart by dots. */
export function noteInLog(request: GatewayRequest, path: string, value: unknown): void {
  const known = notes.get(request) ?? new Map<string, unknown>();
  known.set(path, value);
  notes.set(request, known);
}

/** All that was noted so far. */
export function notedForLog(request: GatewayRequest): ReadonlyMap<string, unknown> {
  return notes.get(request) ?? NOTHING;
}

const NOTHING: ReadonlyMap<string, unknown> = new Map();
