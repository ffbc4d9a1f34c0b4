import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';

interface Http2Answer {
  readonly status: number;
  /** Heads of interim answers. */
  readonly interim: readonly IncomingHttpHeaders[];
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly text: string;
  /** Of RST_STREAM; 0: it ended as it should. */
  readonly code: number;
}

/** A client's connection. `origin` says by its scheme how. */
export async function openHttp2(origin: string, options: ClientSessionOptions = {}): Promise<ClientHttp2Session> {
  const session = connect(origin, { ...options, ...(origin.startsWith('https') && { rejectUnauthorized: false }) });
  await new Promise<void>((resolve, reject) => {
    session.once('connect', () => resolve()).once('error', reject);
  });
  session.on('error', () => undefined);
  return session;
}

/** One request on it. Resolves when its stream is closed, however that came. */
export function ask2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: string | Uint8Array | null = null,
): Promise<Http2Answer> {
  const stream = session.request(headers, { endStream: body === null });
  if (body !== null) stream.end(body);
  return answerOf(stream);
}

export function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  return new Promise((resolve) => {
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    let status = 0;
    const interim: IncomingHttpHeaders[] = [];
    const parts: Buffer[] = [];
    stream.on('headers', (head) => interim.push(head));
    stream.on('response', (head) => {
      headers = head;
      status = head[':status'] ?? 0;
    });
    stream.on('trailers', (fields) => {
      trailers = fields;
    });
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('error', () => undefined);
    stream.on('close', () =>
      resolve({ status, interim, headers, trailers, text: Buffer.concat(parts).toString(), code: stream.rstCode }),
    );
  });
}

/** Types of frames (RFC 9113 section 6). */
export const FRAMES = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const END_STREAM = 1;
export const END_HEADERS = 4;

/** A frame's bytes. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = NOTHING): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const NOTHING = new Uint8Array();

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A header block of literals without indexing (RFC 7541 section 6.2.2), each shorter than 127 bytes. */
export function block(...fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0, name.length]),
      Buffer.from(name, 'latin1'),
      Buffer.from([value.length]),
      Buffer.from(value, 'latin1'),
    ]),
  );
}

export const GET: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a'],
];

interface SeenFrame {
  readonly type: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** A client that writes frames by hand, in clear. */
export class RawHttp2 {
  readonly frames: SeenFrame[] = [];
  readonly socket: Socket;
  /** The node has ended the connection. */
  readonly closed: Promise<void>;
  #rest = Buffer.alloc(0);

  constructor(port: number) {
    this.socket = connectTcp(port, '127.0.0.1');
    this.socket.on('data', (part: Buffer) => this.#read(part));
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
    this.socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    this.send(frame(FRAMES.SETTINGS, 0, 0));
  }

  send(...frames: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  /** Codes of the GOAWAY frames so far. */
  get goaways(): readonly number[] {
    return this.frames.filter(({ type }) => type === FRAMES.GOAWAY).map(({ payload }) => payload.readUInt32BE(4));
  }

  /** Frames of a type so far. */
  count(type: number): number {
    return this.frames.filter((seen) => seen.type === type).length;
  }

  /** The code of a stream's RST_STREAM; null: there is none. */
  resetOf(stream: number): number | null {
    const found = this.frames.find((seen) => seen.type === FRAMES.RST_STREAM && seen.stream === stream);
    return found?.payload.readUInt32BE(0) ?? null;
  }

  #read(part: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, part]);
    while (this.#rest.byteLength >= 9) {
      const size = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.byteLength < size) return;
      const [type, stream] = [this.#rest.readUInt8(3), this.#rest.readUInt32BE(5)];
      this.frames.push({ type, stream, payload: this.#rest.subarray(9, size) });
      this.#rest = this.#rest.subarray(size);
    }
  }
}
