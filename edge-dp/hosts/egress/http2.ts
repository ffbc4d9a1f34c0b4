import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2';
import type { EgressTarget } from '../../proxy/egress/protocol.ts';
import { connect, type Endpoint, placeOf } from './connect.ts';
import { asEgressError, type Exchange } from './exchange.ts';
import { EgressError, readTimeout, requestFailure } from './failure.ts';
import { type RawHeaders, requestHeaders, responseHeaders } from './headers.ts';
import { KeyedPool } from './keyed-pool.ts';

/** HTTP/2 to upstreams: one session by everything that makes a connection its own, shared by its requests. */
export class Http2 {
  readonly #sessions = new KeyedPool<Promise<ClientHttp2Session>>((session) => {
    session.then((open) => open.close()).catch(() => {});
  });

  /** Sends the exchange's request to `target` and streams the response back. Rejects with an `EgressError`. */
  async send(exchange: Exchange, target: EgressTarget, endpoint: Endpoint): Promise<void> {
    const session = await this.#session(endpoint);
    const body = exchange.body();
    const { method = 'GET', rawHeaders } = exchange.request;
    const stream = session.request(
      {
        ...fieldsOf(requestHeaders(rawHeaders)),
        // RFC 9113 section 8.2.2 leaves one hop-by-hop field: gRPC servers insist on it.
        ...(isGrpc(exchange) && { te: 'trailers' }),
        ':method': target.method ?? method,
        ':scheme': target.scheme,
        ':authority': target.authority,
        ':path': target.path,
      },
      { endStream: body === null },
    );
    body?.pipe(stream);
    streamBack(stream, exchange, target, placeOf(endpoint));
  }

  close(): void {
    this.#sessions.clear();
  }

  #session(endpoint: Endpoint): Promise<ClientHttp2Session> {
    const { host, port, tls, connectTimeout } = endpoint;
    const key = JSON.stringify([host, port, tls && [tls.identity.name, tls.serverName], connectTimeout]);
    const session: Promise<ClientHttp2Session> = this.#sessions.get(key, () =>
      openSession(endpoint, () => this.#sessions.forget(key, session)),
    );
    return session;
  }
}

async function openSession(endpoint: Endpoint, gone: () => void): Promise<ClientHttp2Session> {
  try {
    const socket = await connect(endpoint);
    const scheme = endpoint.tls === null ? 'http' : 'https';
    const session = connectHttp2(`${scheme}://${placeOf(endpoint)}`, { createConnection: () => socket });
    // Requests on it report their own errors; the session only has to be replaced.
    session.on('error', gone);
    session.on('goaway', gone);
    session.on('close', gone);
    return session;
  } catch (error) {
    queueMicrotask(gone);
    throw error;
  }
}

function streamBack(stream: ClientHttp2Stream, exchange: Exchange, target: EgressTarget, where: string): void {
  const { response } = exchange;
  let trailers: RawHeaders = [];
  exchange.onAbandoned(() => stream.close(constants.NGHTTP2_CANCEL));
  stream.setTimeout(target.timeouts.read, () => {
    exchange.fail(readTimeout(where));
    stream.close(constants.NGHTTP2_CANCEL);
  });
  stream.on('response', (headers, _flags, raw: RawHeaders = []) => {
    const fields = raw.length > 0 ? raw : Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
    const wire = responseHeaders(fields.filter((_, at) => !fields[at - (at % 2)]?.startsWith(':')));
    try {
      exchange.begin(headers[':status'] ?? 502, undefined, wire);
    } catch (error) {
      exchange.fail(asEgressError(error));
      stream.close(constants.NGHTTP2_CANCEL);
    }
  });
  stream.on('trailers', (_headers, _flags, raw: RawHeaders = []) => {
    trailers = raw;
  });
  stream.on('data', (chunk: Buffer) => {
    if (response.writableEnded || response.write(chunk)) return;
    stream.pause();
    response.once('drain', () => stream.resume());
  });
  stream.on('end', () => {
    if (!response.headersSent || response.writableEnded) return;
    exchange.end(target.trailers === 'grpc-web' ? trailerFrame(trailers) : undefined);
  });
  stream.on('error', (error) => exchange.fail(streamFailure(error, stream.rstCode, where)));
  stream.on('close', () => {
    if (!response.headersSent)
      exchange.fail(new EgressError('closed', true, `${where}: stream closed without a response`));
    else if (!response.writableEnded) response.destroy();
  });
}

function streamFailure(error: Error, code: number | undefined, where: string): EgressError {
  switch (code) {
    // A promise that nothing was processed (RFC 9113 section 8.7).
    case constants.NGHTTP2_REFUSED_STREAM:
      return new EgressError('closed', false, `${where}: stream refused`);
    case constants.NGHTTP2_PROTOCOL_ERROR:
      return new EgressError('protocol', true, `${where}: the response is not HTTP/2 (${error.message})`);
    default:
      return requestFailure(error, where, { writing: false, stale: false });
  }
}

/** A gRPC-Web trailer frame: flag 0x80, length, `name: value` lines (gRPC's PROTOCOL-WEB). */
function trailerFrame(trailers: RawHeaders): Buffer {
  let text = '';
  for (let at = 0; at + 1 < trailers.length; at += 2) text += `${trailers[at]}: ${trailers[at + 1]}\r\n`;
  const block = Buffer.from(text, 'latin1');
  const head = Buffer.from([0x80, 0, 0, 0, 0]);
  head.writeUInt32BE(block.byteLength, 1);
  return Buffer.concat([head, block]);
}

function isGrpc({ request }: Exchange): boolean {
  return request.headers['content-type']?.startsWith('application/grpc') ?? false;
}

/** Header lines as HTTP/2 fields: lower-case names, repeated ones as lists. */
function fieldsOf(raw: RawHeaders): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {};
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]?.toLowerCase() ?? '';
    const value = raw[at + 1] ?? '';
    const before = fields[name];
    fields[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return fields;
}
