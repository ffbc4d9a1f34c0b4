import { constants, type ServerHttp2Stream } from 'node:http2';
import type { BodySource, EndListener, HttpResponse, OwnResponse } from '../../../http/messages.ts';
import { fieldLists } from '../../egress/headers.ts';
import { ArrivingBody } from '../http/arriving-body.ts';
import type { RefusalPages } from '../http/refuse.ts';
import type { NodeRequest } from '../http/request.ts';
import { BODYLESS, count, heldBytes, type Passed, pump, ready, sayLength, sayLengthForHead } from '../http/respond.ts';

/** Bytes of a body in memory that are given to the stream at once: what is queued must show that a client takes some of it. */
const PIECE = 16 << 10;

/** Fields that HTTP/2 does not have (RFC 9113 section 8.2.2). */
const OF_CONNECTIONS: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** Streams whose answer broke off here: their upstream ended in the middle of it. */
const brokenOff = new WeakSet<ServerHttp2Stream>();

/** Streams whose answer ends with trailers: to Node they are finished before. */
const trailing = new WeakSet<ServerHttp2Stream>();

/** Answers a request on its stream; whoever listens for the end of the answer hears of it. */
export function answer(request: NodeRequest, response: HttpResponse, to: ServerHttp2Stream, pages: RefusalPages): void {
  const { status, lines, listeners } = ready(response);
  const passed: Passed = { bytes: null };
  if (listeners.length > 0) tellEnd(to, listeners, passed);
  if (status > 599) {
    // There is no such status (RFC 9110 section 15), and Node writes none in HTTP/2.
    response.discard();
    answer(request, pages.page({ status: 502 }, request), to, pages);
    return;
  }
  to.once('finish', () => {
    if (!trailing.has(to)) letBodyGo(request, to);
  });
  const { content } = response;
  const held = heldBytes(content);
  const bodyless = request.method === 'HEAD' || BODYLESS.has(status);
  if (held !== null && !bodyless) sayLength(lines, response, held);
  if (bodyless) sayLengthForHead(lines, request.method, response);
  const head = [':status', String(status), ...fieldsOf(lines)];
  if (bodyless) {
    if (held === null) response.discard();
    to.respond(head, { endStream: true });
  } else if (held !== null) {
    to.respond(head, { endStream: held.byteLength === 0 });
    if (held.byteLength > 0) sendBytes(held, to);
  } else sendBody(content, head, to, passed, () => letBodyGo(request, to));
  // Node ends its side of a HEAD as soon as that comes, and has said then that it is finished.
  if (to.writableFinished) letBodyGo(request, to);
}

/** Sends an interim answer, as long as nothing of the final one was sent. */
export function informStream(to: ServerHttp2Stream, status: number, lines: readonly string[]): void {
  if (to.destroyed || to.closed || to.headersSent) return;
  const { 'content-length': _ofAnother, ...fields } = fieldLists(fieldsOf(lines));
  to.additionalHeaders({ ...fields, ':status': status });
}

/** Sends a page in answer to what is no request, or not one that is served. */
export function refuseStream(to: ServerHttp2Stream, { status, headers, content }: OwnResponse): void {
  to.on('error', () => undefined);
  if (to.destroyed || to.closed) return;
  const body = typeof content === 'string' ? Buffer.from(content) : Buffer.alloc(0);
  headers.set('Content-Length', String(body.byteLength));
  to.once('finish', () => closeRest(to));
  to.respond([':status', String(status), ...fieldsOf(headers.lines)], {});
  to.end(body);
  if (to.writableFinished) closeRest(to);
}

/** Ends a stream whose answer cannot go on, so that no client takes it for complete. */
export function breakOff(to: ServerHttp2Stream): void {
  // Where the client left, its upstream was told to end because of that.
  if (!to.destroyed && !to.closed) brokenOff.add(to);
  to.close(constants.NGHTTP2_INTERNAL_ERROR);
}

/** All of the answer is out. For a stream that is closed: Node ends the writable side of any. */
export function isComplete({ aborted, rstCode }: ServerHttp2Stream): boolean {
  return !aborted && rstCode === constants.NGHTTP2_NO_ERROR;
}

/** The client ended the stream, or made it end, before its answer was out. */
export function endedByClient(stream: ServerHttp2Stream): boolean {
  return !isComplete(stream) && !brokenOff.has(stream);
}

export function tellEnd(to: ServerHttp2Stream, listeners: readonly EndListener[], passed: Passed | null = null): void {
  to.once('close', () => {
    const sent = passed?.bytes ?? null;
    const end = { aborted: !isComplete(to), clientLeft: endedByClient(to), ...(sent !== null && { sent }) };
    for (const ended of listeners) ended(end);
  });
}

/** Lines as fields of HTTP/2: Node writes the names in lower case. */
export function fieldsOf(lines: readonly string[]): string[] {
  const fields: string[] = [];
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const name = lines[at] ?? '';
    if (!OF_CONNECTIONS.has(name.toLowerCase())) fields.push(name, lines[at + 1] ?? '');
  }
  return fields;
}

/** What is still sent of a body that nobody took. */
function letBodyGo({ body }: NodeRequest, to: ServerHttp2Stream): void {
  if (body !== null) closeRest(to);
}

/** RFC 9113 section 8.1: the answer is complete, the rest of the request is not wanted. */
export function closeRest(to: ServerHttp2Stream): void {
  if (to.readableEnded || to.destroyed) return;
  to.resume();
  to.close(constants.NGHTTP2_NO_ERROR);
}

function sendBytes(bytes: Uint8Array, to: ServerHttp2Stream): void {
  if (bytes.byteLength <= PIECE) {
    to.end(bytes);
    return;
  }
  let at = 0;
  const go = (): void => {
    while (at < bytes.byteLength && !to.destroyed) {
      const room = to.write(bytes.subarray(at, at + PIECE));
      at += PIECE;
      if (!room && at < bytes.byteLength) {
        to.once('drain', go);
        return;
      }
    }
    to.end();
  };
  go();
}

function sendBody(
  content: HttpResponse['content'],
  head: readonly string[],
  to: ServerHttp2Stream,
  passed: Passed,
  trailed: () => void,
): void {
  if (!isSource(content)) return;
  passed.bytes = 0;
  if (!(content instanceof ArrivingBody) || !content.untaken) {
    to.respond(head, {});
    void pump(content.stream(), to, passed, { broken: () => breakOff(to), full: () => undefined });
    return;
  }
  // A gRPC client takes an outcome from the head only where the head is all there is.
  if (content.nothing) {
    to.respond(head, { endStream: true });
    return;
  }
  const { whole } = content;
  if (whole !== null) {
    to.respond(head, {});
    count(passed, whole);
    sendBytes(whole, to);
    return;
  }
  let trailers: readonly string[] = [];
  if (content.mayHaveTrailers) {
    trailing.add(to);
    to.once('wantTrailers', () => {
      to.sendTrailers(fieldLists(fieldsOf(trailers)));
      // They go out behind this.
      setImmediate(trailed);
    });
  }
  to.respond(head, { waitForTrailers: content.mayHaveTrailers });
  content.sendTo({
    write(part) {
      count(passed, part);
      return to.write(part);
    },
    onDrain: (listener) => to.once('drain', listener),
    end(lines) {
      trailers = lines;
      to.end();
    },
    fail: () => breakOff(to),
  });
}

function isSource(content: HttpResponse['content']): content is BodySource {
  return content !== null && typeof content === 'object' && 'stream' in content;
}
