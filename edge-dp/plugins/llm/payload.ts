import { isRecord, type Row } from '../../../shared/record.ts';
import type { Answer } from '../runtime/plugin.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import { slot } from '../runtime/slot.ts';

/** The body of a request to a model as the last AI plugin read or wrote it: parsed once for all of a chain. */
const known = slot<{ readonly bytes: Uint8Array; readonly payload: Row | null }>();

/** Bodies of this size are read whatever a configuration says: Kong holds as much in memory. */
const LEAST_LIMIT = 8192;

/** The JSON object that a body is; null: it is none, or longer than `limit` bytes. Not to be changed. */
export async function readPayload(request: GatewayRequest, limit: number): Promise<Row | null> {
  const bytes = await request.body.read(Math.max(limit, LEAST_LIMIT));
  if (bytes === null) return null;
  const before = known.get(request);
  if (before?.bytes === bytes) return before.payload;
  const payload = isJson(request) ? parsed(bytes) : null;
  known.set(request, { bytes, payload });
  return payload;
}

/** Another body, as JSON: members that are undefined are not there. Those who read it next need not parse it. */
export async function writePayload(request: GatewayRequest, payload: Row): Promise<void> {
  request.body.replace(JSON.stringify(payload), 'application/json');
  const bytes = await request.body.read(Number.MAX_SAFE_INTEGER);
  if (bytes !== null) known.set(request, { bytes, payload });
}

/** Whether the body has an object with two members of one name: whoever reads it next may take another one than `readPayload` does. */
export async function hasRepeatedMembers(request: GatewayRequest, payload: Row): Promise<boolean> {
  const bytes = await request.body.read(Number.MAX_SAFE_INTEGER);
  return bytes !== null && membersWritten(TEXT.decode(bytes)) !== membersOf(payload);
}

/** Members in a text that is JSON: as many as colons outside of strings. */
function membersWritten(text: string): number {
  let members = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === ':') members += 1;
    if (text[at] !== '"') continue;
    for (at += 1; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at += 1;
  }
  return members;
}

/** Members of a value and of all within it, however deep. */
function membersOf(value: unknown): number {
  let members = 0;
  const open = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    const within = Object.values(next);
    if (!Array.isArray(next)) members += within.length;
    for (const each of within) open.push(each);
  }
  return members;
}

/** Kong's answer for what a client did wrong with a model. */
export function modelError(request: GatewayRequest, status: number, message: string): Answer {
  return request.exit(status, { error: { message } });
}

/** A request without a Content-Type is taken for JSON. */
function isJson({ headers }: GatewayRequest): boolean {
  const type = headers.get('content-type');
  return type === null || type.split(';', 1)[0]?.trim().toLowerCase() === 'application/json';
}

function parsed(bytes: Uint8Array): Row | null {
  try {
    const value: unknown = JSON.parse(TEXT.decode(bytes));
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

const TEXT = new TextDecoder();
