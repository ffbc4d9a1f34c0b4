import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2';
import { Readable } from 'node:stream';
import type { AnswerSink, UpstreamCall } from './call.ts';
import { connect, type Endpoint, placeOf } from './connect.ts';
import { asEgressError, EgressError, readTimeout, requestFailure } from './failure.ts';
import { headerOf, type RawHeaders } from './headers.ts';
import { KeyedPool } from './keyed-pool.ts';

/** HTTP/2 to upstreams: one session by everything that makes a connection its own, shared by its requests. */
export class Http2 {
  readonly #sessions = new KeyedPool<Promise<ClientHttp2Session>>((session) => {
    session.then((open) => open.close()).catch(() => {});
  });

  /** Sends a request; the answer goes to `sink`. Rejects with an `EgressError` when there is no connection. */
  async send(call: UpstreamCall, endpoint: Endpoint, sink: AnswerSink): Promise<void> {
    const session = await this.#session(endpoint);
    const { body, method, scheme, authority, path, headers } = call;
    const stream = session.request(
      {
        ...fieldsOf(headers),
        // RFC 9113 section 8.2.2 leaves one hop-by-hop field: gRPC servers insist on it.
        ...(headerOf(headers, 'content-type')?.startsWith('application/grpc') && { te: 'trailers' }),
        ':method': method,
        ':scheme': scheme,
        ':authority': authority,
        ':path': path,
      },
      { endStream: body === null },
    );
    if (body instanceof Readable) body.pipe(stream);
    else if (body !== null) stream.end(body);
    streamBack(stream, sink, call, placeOf(endpoint));
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

function streamBack(stream: ClientHttp2Stream, sink: AnswerSink, { timeouts }: UpstreamCall, where: string): void {
  let trailers: RawHeaders = [];
  let begun = false;
  let over = false;
  const fail = (error: EgressError): void => {
    if (over) return;
    over = true;
    sink.fail(error);
  };
  sink.onAbandoned(() => {
    over = true;
    stream.close(constants.NGHTTP2_CANCEL);
  });
  stream.setTimeout(timeouts.read, () => {
    fail(readTimeout(where));
    stream.close(constants.NGHTTP2_CANCEL);
  });
  stream.on('response', (headers, _flags, raw: RawHeaders = []) => {
    const fields = raw.length > 0 ? raw : Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
    try {
      begun = true;
      sink.begin(
        headers[':status'] ?? 502,
        undefined,
        fields.filter((_, at) => !fields[at - (at % 2)]?.startsWith(':')),
      );
    } catch (error) {
      fail(asEgressError(error));
      stream.close(constants.NGHTTP2_CANCEL);
    }
  });
  stream.on('trailers', (_headers, _flags, raw: RawHeaders = []) => {
    trailers = raw;
  });
  stream.on('data', (chunk: Buffer) => {
    if (over || sink.data(chunk)) return;
    stream.pause();
    sink.onDrain(() => stream.resume());
  });
  stream.on('end', () => {
    if (!begun || over) return;
    over = true;
    sink.end(trailers);
  });
  stream.on('error', (error) => fail(streamFailure(error, stream.rstCode, where)));
  stream.on('close', () => {
    const what = begun ? 'stream broken off' : 'stream closed without a response';
    fail(new EgressError('closed', true, `${where}: ${what}`));
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
      return requestFailure(error, where, false);
  }
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
