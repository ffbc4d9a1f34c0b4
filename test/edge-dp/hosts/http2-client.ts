import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';

interface Http2Answer {
  readonly status: number;
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
    const parts: Buffer[] = [];
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
      resolve({ status, headers, trailers, text: Buffer.concat(parts).toString(), code: stream.rstCode }),
    );
  });
}
