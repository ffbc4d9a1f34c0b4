import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { BodySource, Content, EndListener, HttpResponse, ResponseEnd } from '../../../http/messages.ts';
import { OwnResponse } from '../../../http/messages.ts';
import { joinSockets } from '../../egress/http1.ts';
import { passedPhrase } from '../../egress/http1-head.ts';
import { ArrivingBody } from './arriving-body.ts';
import { lingering } from './lingering.ts';
import type { NodeRequest } from './request.ts';
import { expectClient } from './send-timeout.ts';
import { UpstreamResponse } from './upstream-response.ts';
import { wireLines } from './wire-fields.ts';

/** Node writes a head alone in UTF-8, and bytes above 0x7f as two, but not before bytes, be they none. */
const NOTHING = new Uint8Array();
export const BODYLESS: ReadonlySet<number> = new Set([204, 205, 304]);

const NO_CONTENT = 204;
const RESET_CONTENT = 205;

/** An answer ready for the wire. */
export interface Ready {
  readonly status: number;
  readonly reason: string;
  readonly lines: string[];
  readonly listeners: readonly EndListener[];
  /** The connection ends with it. */
  readonly closing: boolean;
}

/** Throws a `TypeError` for a response that is none of this host's. */
export function ready(response: HttpResponse): Ready {
  const { status } = response;
  // They go without their bodies. Of 205 clients would take what follows for that; of 204 none may be spoken of (RFC 9110, section 8.6).
  if (status === RESET_CONTENT) response.headers.set('Content-Length', '0');
  if (status === NO_CONTENT) response.headers.delete('Content-Length');
  if (response instanceof UpstreamResponse) {
    const { headers, listeners, reason } = response;
    const phrase = reason === undefined ? (STATUS_CODES[status] ?? '') : passedPhrase(reason);
    return { status, reason: phrase, lines: headers.lines.slice(), listeners, closing: false };
  }
  if (response instanceof OwnResponse) {
    const { headers, listeners, closing } = response;
    return { status, reason: STATUS_CODES[status] ?? '', lines: wireLines(headers), listeners, closing };
  }
  throw new TypeError('this response is none of this host');
}

/** How an answer is sent. */
interface Terms {
  /** The connection is to end with it. */
  readonly last: boolean;
  /** Milliseconds its client may take nothing of it. */
  readonly patience: number;
}

/** Answers a request over HTTP/1; whoever listens for the end of the answer hears of it. */
export function respond(request: NodeRequest, response: HttpResponse, to: ServerResponse, terms: Terms): void {
  const { last, patience } = terms;
  const { status, reason, lines, listeners, closing } = ready(response);
  const passed: Passed = { bytes: null };
  if (listeners.length > 0) tellEnd(to, listeners, passed);
  const { content, headers } = response;
  // How a body is framed is said by this host alone.
  if (headers.has('transfer-encoding')) removeLines(lines, 'transfer-encoding');
  // Announced behind a body that has no such place, Node refuses to say it.
  if (headers.has('trailer') && !isChunked(request, response)) removeLines(lines, 'trailer');
  if (closing || last || request.body?.unasked || request.body?.broken) to.shouldKeepAlive = false;
  lines.push('Connection', to.shouldKeepAlive ? 'keep-alive' : 'close');
  lingering(to, request);
  if (request.method === 'HEAD' || BODYLESS.has(status)) {
    const held = heldBytes(content);
    if (held === null) response.discard();
    sayLengthForHead(lines, request.method, response);
    to.writeHead(status, reason, lines);
    to.end();
    return;
  }
  if (content === null || typeof content === 'string' || content instanceof Uint8Array) {
    const bytes = heldBytes(content) ?? NOTHING;
    sayLength(lines, response, bytes);
    to.writeHead(status, reason, lines);
    end(to, bytes);
    expectClient(to, patience);
    return;
  }
  to.writeHead(status, reason, lines);
  sendBody(content, to, patience, passed);
}

/** Whether something may come behind the body. */
function isChunked({ method, version }: NodeRequest, response: HttpResponse): boolean {
  return method !== 'HEAD' && version !== '1.0' && !headed(response) && heldBytes(response.content) === null;
}

/** What a plugin says of it in its place would have the client take the rest for the next answer, or wait for more. */
export function sayLength(lines: string[], { headers }: HttpResponse, { byteLength }: Uint8Array): void {
  const length = String(byteLength);
  if (headers.get('content-length') === length) return;
  removeLines(lines, 'content-length');
  lines.push('Content-Length', length);
}

function removeLines(lines: string[], name: string): void {
  for (let at = lines.length - 2; at >= 0; at -= 2) if (lines[at]?.toLowerCase() === name) lines.splice(at, 2);
}

/** Whether it says how long its body is, or what it would be for GET. */
function headed({ status, headers }: HttpResponse): boolean {
  return headers.has('content-length') || BODYLESS.has(status);
}

/** Tells HEAD of the length of an answer of the gateway's own what GET would be told, where that is known. */
export function sayLengthForHead(lines: string[], method: string, response: HttpResponse): void {
  const { content, status } = response;
  if (method !== 'HEAD' || !(response instanceof OwnResponse) || content === null || BODYLESS.has(status)) return;
  const held = heldBytes(content);
  // Without any it may be one whose body was left out for that.
  if (held !== null && (held.byteLength > 0 || !headed(response))) sayLength(lines, response, held);
}

/** Content that is in memory; null: it is still on its way. */
export function heldBytes(content: Content): Uint8Array | null {
  if (content === null) return NOTHING;
  if (typeof content === 'string') return Buffer.from(content);
  return content instanceof Uint8Array ? content : null;
}

/** Bytes of a body that goes out in one piece with its head: a copy costs less than a second piece. */
const SMALL = 4 << 10;

function end(to: ServerResponse, bytes: Uint8Array): void {
  if (bytes.byteLength > SMALL) to.end(bytes);
  else to.end(asBuffer(bytes).toString('latin1'), 'latin1');
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** How much of a body has been handed on; null: it is none that comes in parts. */
export interface Passed {
  bytes: number | null;
}

export function count(passed: Passed, { byteLength }: Uint8Array): void {
  passed.bytes = (passed.bytes ?? 0) + byteLength;
}

function sendBody(content: BodySource, to: ServerResponse, patience: number, passed: Passed): void {
  passed.bytes = 0;
  if (content instanceof ArrivingBody && content.untaken) {
    const { whole } = content;
    if (whole !== null) {
      count(passed, whole);
      end(to, whole);
      expectClient(to, patience);
      return;
    }
    // Clients get the head at once, however long the body takes.
    if (content.awaited) to.write(NOTHING);
    content.sendTo({
      write(part, done) {
        count(passed, part);
        const room = writeNow(part, to, done);
        if (!room) expectClient(to, patience);
        return room;
      },
      onDrain: (listener) => to.once('drain', listener),
      end(trailers) {
        if (trailers.length > 0) to.addTrailers(pairs(trailers));
        to.end();
        expectClient(to, patience);
      },
      fail: () => breakOff(to),
    });
    return;
  }
  to.write(NOTHING);
  const full = (): void => expectClient(to, patience);
  void pump(content.stream(), to, passed, { broken: () => breakOff(to), full });
}

/**
 * Writes a part in this turn, where Node would wait for the next to see what comes with it: what the system takes at once is no reason to
 * stop the upstream. Gives whether there is room for more.
 */
function writeNow(part: Buffer, to: ServerResponse, done: (() => void) | undefined): boolean {
  const { socket } = to;
  if (socket === null) return to.write(part, done);
  socket.cork();
  to.write(part, done);
  socket.uncork();
  return socket.writableLength < socket.writableHighWaterMark;
}

/** Who sends a body hears when it broke off, and when bytes of it begin to wait for the client. */
interface PumpListener {
  readonly broken: () => void;
  readonly full: () => void;
}

/** Writes all of a body, as fast as it is taken, and ends. */
export async function pump(
  stream: ReadableStream<Uint8Array>,
  to: Writable,
  passed: Passed,
  on: PumpListener,
): Promise<void> {
  const reader = stream.getReader();
  to.once('close', () => void reader.cancel().catch(() => undefined));
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (to.destroyed) return;
      count(passed, part.value);
      if (to.write(part.value)) continue;
      on.full();
      await room(to);
    }
    to.end();
    on.full();
  } catch {
    on.broken();
  }
}

function room(to: Writable): Promise<void> {
  return new Promise((resolve) => {
    to.once('drain', resolve);
    to.once('close', resolve);
  });
}

/** Answers whose upstream ended in the middle of them. */
const brokenOff = new WeakSet<ServerResponse>();

function breakOff(to: ServerResponse): void {
  // Where the client left, its upstream was told to end because of that.
  if (!to.destroyed && to.socket?.destroyed === false) brokenOff.add(to);
  // Node keeps what was written until the end of this tick.
  process.nextTick(() => to.destroy());
}

function tellEnd(to: ServerResponse, listeners: readonly EndListener[], passed: Passed): void {
  to.on('close', () => {
    const aborted = !to.writableFinished;
    const { bytes: sent } = passed;
    const end: ResponseEnd = { aborted, clientLeft: aborted && !brokenOff.has(to), ...(sent !== null && { sent }) };
    for (const ended of listeners) ended(end);
  });
}

/** Answers a request to upgrade, on a connection that Node's server let go of: with the upstream's 101 it becomes a tunnel. */
export function respondUpgrade(
  request: NodeRequest,
  response: HttpResponse,
  to: ServerResponse,
  { socket, head, patience }: { readonly socket: Socket; readonly head: Buffer; readonly patience: number },
): void {
  if (!(response instanceof UpstreamResponse) || response.tunnel === null) {
    respond(request, response, to, { last: true, patience });
    return;
  }
  const { tunnel, listeners } = response;
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade'];
  const kept = response.headers.lines;
  for (let at = 0; at < kept.length; at += 2) lines.push(`${kept[at]}: ${kept[at + 1]}`);
  to.detachSocket(socket);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  joinSockets(socket, tunnel, head);
  socket.once('close', () => {
    for (const ended of listeners) ended({ aborted: false, clientLeft: false });
  });
}

function pairs(lines: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let at = 0; at + 1 < lines.length; at += 2) found.push([lines[at] ?? '', lines[at + 1] ?? '']);
  return found;
}
