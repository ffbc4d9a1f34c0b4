import { withoutBlanks } from '../../http/fields.ts';
import { type ByteReader, ConnectionClosed, ProtocolError } from './byte-reader.ts';

/** The head of an HTTP/1.1 response, interim ones passed over. */
interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: Headers;
  readonly framing: Framing;
}

/** How a response's body ends (RFC 9112 section 6.3). */
type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until_close' };

/** Characters of a head, which is what the runtime's own fetch takes; lines of it; interim responses before the final one. */
const MAX_HEAD = 128 << 10;
const MAX_FIELDS = 1000;
const MAX_INTERIM = 10;

/** Strict where leniency would let two readers disagree. Throws `ProtocolError`, `ConnectionClosed`, `ReadTimeout`. */
export async function readResponseHead(reader: ByteReader, method: string): Promise<ResponseHead> {
  for (let interim = 0; interim <= MAX_INTERIM; interim++) {
    const line = await reader.line(MAX_HEAD);
    const match = /^HTTP\/1\.[01] ([1-9]\d\d)(?: (.*))?$/.exec(line);
    if (match === null) throw new ProtocolError('no HTTP/1.1 status line');
    const status = Number(match[1]);
    const headers = await readFields(reader);
    if (status === 101) throw new ProtocolError('switched protocols without being asked to');
    if (status >= 200) return { status, reason: match[2] ?? '', headers, framing: framingOf(status, method, headers) };
  }
  throw new ProtocolError('too many interim responses');
}

/** The body as it is framed; ends in an error when the connection does before the body. */
export function responseBody(reader: ByteReader, framing: Framing): ReadableStream<Uint8Array> {
  const chunks = bodyChunks(reader, framing);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { value, done } = await chunks.next();
        if (done === true) {
          controller.close();
          reader.cancel();
        } else {
          controller.enqueue(value);
        }
      } catch (error) {
        controller.error(error);
        reader.cancel(error);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

async function readFields(reader: ByteReader): Promise<Headers> {
  const headers = new Headers();
  for (let count = 0, left = MAX_HEAD; ; count++) {
    const line = await reader.line(left);
    left -= line.length;
    if (line === '') return headers;
    if (count >= MAX_FIELDS) throw new ProtocolError('too many header fields');
    // A name ends at its colon: no space before it, and no line that continues the one above (obs-fold).
    const [, name, value = ''] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):(.*)$/.exec(line) ?? [];
    if (name === undefined) throw new ProtocolError('malformed header field');
    headers.append(name, withoutBlanks(value));
  }
}

function framingOf(status: number, method: string, headers: Headers): Framing {
  const coding = headers.get('transfer-encoding');
  const length = headers.get('content-length');
  if (coding !== null && length !== null) throw new ProtocolError('both Content-Length and Transfer-Encoding');
  if (coding !== null && coding.toLowerCase() !== 'chunked') throw new ProtocolError('unknown transfer coding');
  if (length !== null && !/^\d{1,15}$/.test(length)) throw new ProtocolError('malformed Content-Length');
  if (method === 'HEAD' || status === 204 || status === 304) return { kind: 'none' };
  if (coding !== null) return { kind: 'chunked' };
  return length === null ? { kind: 'until_close' } : { kind: 'length', length: Number(length) };
}

async function* bodyChunks(reader: ByteReader, framing: Framing): AsyncGenerator<Uint8Array, void> {
  switch (framing.kind) {
    case 'none':
      return;
    case 'length':
      yield* exactly(reader, framing.length);
      return;
    case 'until_close':
      for (let part = await reader.some(CHUNK); part !== null; part = await reader.some(CHUNK)) yield part;
      return;
    case 'chunked':
      for (;;) {
        const match = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;.*)?$/.exec(await reader.line(MAX_CHUNK_LINE));
        if (match?.[1] === undefined) throw new ProtocolError('malformed chunk size');
        const size = Number.parseInt(match[1], 16);
        if (size === 0) {
          await readFields(reader);
          return;
        }
        yield* exactly(reader, size);
        if ((await reader.line(2)) !== '') throw new ProtocolError('chunk longer than its size');
      }
  }
}

const CHUNK = 64 << 10;
const MAX_CHUNK_LINE = 4 << 10;

async function* exactly(reader: ByteReader, length: number): AsyncGenerator<Uint8Array, void> {
  for (let left = length; left > 0; ) {
    const part = await reader.some(Math.min(left, CHUNK));
    if (part === null) throw new ConnectionClosed('closed in the middle of a body');
    left -= part.length;
    yield part;
  }
}
