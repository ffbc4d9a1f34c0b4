import { isFieldName, isToken, isTokenIn } from '../../../shared/head.ts';
import type { UpstreamCall } from './call.ts';
import type { RawHeaders } from './headers.ts';

/** The head of a response, and what it says of the connection. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** Names and values in turn, as on the wire. */
  readonly headers: string[];
  readonly framing: Framing;
  /** Whether another request may follow on the connection. */
  readonly persistent: boolean;
  /** Milliseconds its server keeps the connection (`Keep-Alive: timeout`); null: it does not say. */
  readonly idle: number | null;
}

/** How a body ends (RFC 9112 section 6.3): after so many bytes, after its last chunk, or with the connection. */
export type Framing = number | 'chunked' | 'until close';

/** What came is not HTTP/1.1, or could be read in two ways. */
export class NotHttp extends Error {
  override readonly name = 'NotHttp';
}

/** Lines of a head. */
const MOST_LINES = 1000;

/** Reads a head, without the empty line behind it. Strict where another reader might see another response. Throws `NotHttp`. */
export function parseResponseHead(text: string, method: string): ResponseHead {
  let end = endOfLine(text, 0);
  const [, minor, code, reason = ''] = STATUS_LINE.exec(text.slice(0, end)) ?? [];
  if (minor === undefined) throw new NotHttp('no status line of HTTP/1');
  const status = Number(code);
  const headers: string[] = [];
  let length: string | null = null;
  let coding: string | null = null;
  let persistent = minor === '1';
  let idle: number | null = null;
  while (end < text.length) {
    end = fieldLine(text, end + 2, headers);
    const name = headers[headers.length - 2] ?? '';
    const value = headers[headers.length - 1] ?? '';
    switch (name.length) {
      case 10:
        if (is(name, 'connection')) persistent = persists(value, persistent);
        else if (is(name, 'keep-alive')) idle = idleTime(value);
        break;
      case 14:
        if (!is(name, 'content-length')) break;
        if (length !== null) throw new NotHttp('two Content-Length');
        length = value;
        break;
      case 17:
        if (!is(name, 'transfer-encoding')) break;
        if (coding !== null || value.toLowerCase() !== 'chunked')
          throw new NotHttp(`unknown transfer coding '${coding === null ? value : `${coding}, ${value}`}'`);
        coding = value;
    }
  }
  if (length !== null && coding !== null) throw new NotHttp('both Content-Length and Transfer-Encoding');
  if (length !== null && !LENGTH.test(length)) throw new NotHttp('a malformed Content-Length');
  const framing = framingOf(method, status, length, coding);
  return { status, reason, headers, framing, persistent: persistent && framing !== 'until close', idle };
}

/** Reads the fields of a trailer section. Throws `NotHttp`. */
export function parseTrailers(text: string): string[] {
  const lines: string[] = [];
  for (let end = -2; end < text.length; ) end = fieldLine(text, end + 2, lines);
  return lines;
}

/** A reason phrase with whatever bytes it has (RFC 9112 section 4); one that is none is left out, since clients ignore them all. */
export function passedPhrase(reason: string): string {
  return PHRASE.test(reason) ? reason : '';
}

const PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: (.*))?$/s;
const LENGTH = /^\d{1,15}$/;

function framingOf(method: string, status: number, length: string | null, coding: string | null): Framing {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0;
  if (coding !== null) return 'chunked';
  return length === null ? 'until close' : Number(length);
}

/** Where the line ends that begins at `from`. A CR or LF alone ends it for some and not for others. */
function endOfLine(text: string, from: number): number {
  let end = text.indexOf('\r\n', from);
  if (end < 0) end = text.length;
  for (let at = from; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === 0 || code === 0x0a || code === 0x0d) throw new NotHttp('a line break or NUL inside of a line');
  }
  return end;
}

/** Adds name and value of the line that begins at `from`; gives its end. */
function fieldLine(text: string, from: number, into: string[]): number {
  const end = endOfLine(text, from);
  // A name ends at its colon: no space before it, and no line that continues the one above (obs-fold).
  const colon = text.indexOf(':', from);
  if (colon <= from || colon > end || !isTokenIn(text, from, colon)) throw new NotHttp('a malformed header field');
  if (into.length >= 2 * MOST_LINES) throw new NotHttp('too many header fields');
  let first = colon + 1;
  let last = end;
  while (first < last && isBlankAt(text, first)) first++;
  while (last > first && isBlankAt(text, last - 1)) last--;
  into.push(text.slice(from, colon), text.slice(first, last));
  return end;
}

function isBlankAt(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || code === 0x09;
}

function is(name: string, lower: string): boolean {
  return name === lower || name.toLowerCase() === lower;
}

function persists(connection: string, before: boolean): boolean {
  const lower = connection.toLowerCase();
  if (lower.includes('close')) return false;
  return before || lower.includes('keep-alive');
}

/** A second less than it says: a request must not meet the end of the connection. */
function idleTime(keepAlive: string): number | null {
  const seconds = /(?:^|[,\s])timeout=(\d{1,9})/i.exec(keepAlive)?.[1];
  return seconds === undefined ? null : Number(seconds) * 1000 - 1000;
}

/** What frames a request is this client's own to say, and so is what belongs to the connection. */
const OWN: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'content-length',
  'transfer-encoding',
  'upgrade',
]);

/** `length`: of the body; null: it has none. `upgrade`: the protocol asked for. Throws a `TypeError` for what cannot stand in a head. */
export function requestHead(
  { method, path, authority, headers }: Pick<UpstreamCall, 'method' | 'path' | 'authority' | 'headers'>,
  length: number | 'chunked' | null,
  upgrade: string | null,
): string {
  if (!isToken(method)) throw new TypeError(`'${method}' is no method`);
  if (path === '' || !isTarget(path)) throw new TypeError(`'${path}' is no request target`);
  let head = `${method} ${path} HTTP/1.1\r\nHost: ${line(authority)}\r\n`;
  head +=
    upgrade === null
      ? 'Connection: keep-alive\r\n'
      : `Connection: keep-alive, Upgrade\r\nUpgrade: ${line(upgrade)}\r\n`;
  if (length === 'chunked') head += 'Transfer-Encoding: chunked\r\n';
  else if (length !== null) head += `Content-Length: ${length}\r\n`;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? '';
    if (isOwn(name)) continue;
    if (!isFieldName(name)) throw new TypeError(`'${name}' is no name of a header field`);
    head += `${name}: ${line(headers[at + 1] ?? '')}\r\n`;
  }
  return `${head}\r\n`;
}

/** The Content-Length of a request's fields; null: none that is one. */
export function lengthIn(headers: RawHeaders): number | null {
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? '';
    if (name.length !== 14 || !is(name, 'content-length')) continue;
    const value = headers[at + 1] ?? '';
    return LENGTH.test(value) ? Number(value) : null;
  }
  return null;
}

/** Trailers, names and values in turn, each as a line with its end. What cannot be one is left out. */
export function trailerLines(trailers: RawHeaders): string {
  let lines = '';
  for (let at = 0; at + 1 < trailers.length; at += 2) {
    const name = trailers[at] ?? '';
    if (isToken(name) && !isOwn(name)) lines += `${name}: ${line(trailers[at + 1] ?? '')}\r\n`;
  }
  return lines;
}

function isOwn(name: string): boolean {
  switch (name.length) {
    case 4:
    case 7:
    case 10:
    case 14:
    case 17:
      return OWN.has(name.toLowerCase());
    default:
      return false;
  }
}

function line(value: string): string {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code === 0 || code === 0x0a || code === 0x0d || code > 0xff)
      throw new TypeError(`${JSON.stringify(value)} cannot stand in a header field`);
  }
  return value;
}

function isTarget(path: string): boolean {
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code <= 0x20 || code === 0x7f || code > 0xff) return false;
  }
  return true;
}
