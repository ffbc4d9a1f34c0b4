import { type ClientHttp2Stream, constants } from 'node:http2';
import { Readable } from 'node:stream';
import type { AnswerSink, UpstreamCall } from './call.ts';
import { type Endpoint, placeOf } from './connect.ts';
import { asEgressError, EgressError, readTimeout, requestFailure } from './failure.ts';
import { fieldLists, headerOf, type RawHeaders } from './headers.ts';
import { type Http2Lease, Http2Sessions } from './http2-sessions.ts';
import { KeyedPool } from './keyed-pool.ts';

/** HTTP/2 to upstreams: connections by everything that makes one its own, each shared by as many requests as it takes. */
export class Http2 {
  readonly #upstreams = new KeyedPool<Http2Sessions>((sessions) => sessions.close());

  /** Sends a request; the answer goes to `sink`. Rejects with an `EgressError` when there is no connection. */
  async send(call: UpstreamCall, endpoint: Endpoint, sink: AnswerSink): Promise<void> {
    const { body, method, scheme, authority, path, headers, trailers } = call;
    // What it broke off for is told by whoever made it; one that nobody takes any more is let go of.
    if (body instanceof Readable) body.on('error', () => undefined);
    let lease: Http2Lease;
    try {
      lease = await this.#sessions(endpoint).take();
    } catch (error) {
      letGo(body);
      throw error;
    }
    let stream: ClientHttp2Stream;
    try {
      stream = lease.session.request(
        {
          ...fieldLists(headers),
          // RFC 9113 section 8.2.2 leaves one hop-by-hop field: gRPC servers insist on it.
          ...(headerOf(headers, 'content-type')?.startsWith('application/grpc') && { te: 'trailers' }),
          ':method': method,
          ':scheme': scheme,
          ':authority': authority,
          ':path': path,
        },
        { endStream: body === null, waitForTrailers: trailers !== null && body !== null },
      );
    } catch (error) {
      lease.end();
      letGo(body);
      throw error;
    }
    if (trailers !== null) stream.once('wantTrailers', () => stream.sendTrailers(fieldLists(trailers())));
    if (body instanceof Readable) body.pipe(stream);
    else if (body !== null) stream.end(body);
    stream.once('close', () => letGo(body));
    streamBack(stream, sink, call, { where: placeOf(endpoint), lease });
  }

  close(): void {
    this.#upstreams.clear();
  }

  #sessions(endpoint: Endpoint): Http2Sessions {
    const { host, port, tls, connectTimeout } = endpoint;
    const key = JSON.stringify([host, port, tls && [tls.identity.name, tls.serverName], connectTimeout]);
    return this.#upstreams.get(key, () => new Http2Sessions(endpoint));
  }
}

function letGo(body: UpstreamCall['body']): void {
  if (body instanceof Readable && !body.destroyed) body.destroy();
}

function streamBack(
  stream: ClientHttp2Stream,
  sink: AnswerSink,
  { timeouts }: UpstreamCall,
  { where, lease }: { readonly where: string; readonly lease: Http2Lease },
): void {
  let trailers: RawHeaders = [];
  let begun = false;
  let over = false;
  /** Nobody has room for more of the answer. */
  let paused = false;
  /** Of all streams of the connection, when this one last had something. */
  let heard = lease.heard();
  const fail = (error: EgressError): void => {
    if (over) return;
    over = true;
    sink.fail(error);
  };
  const finish = (): void => {
    if (!begun || over) return;
    over = true;
    sink.end(trailers);
  };
  sink.onAbandoned(() => {
    over = true;
    stream.close(constants.NGHTTP2_CANCEL);
    // Clients with less patience than the route's would never find out.
    if (lease.heard() === heard) lease.doubt();
  });
  stream.setTimeout(timeouts.read);
  stream.on('timeout', () => {
    // Who does not take the answer is not its sender.
    if (paused) return;
    fail(readTimeout(where));
    stream.close(constants.NGHTTP2_CANCEL);
    // Its other side may be gone without a word: whoever came next would wait as long for nothing.
    if (lease.heard() === heard) lease.giveUp();
  });
  stream.on('response', (headers, flags, raw: RawHeaders = []) => {
    heard = lease.heard();
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
    // The head is all of it: it is to be so for the client too.
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) finish();
  });
  stream.on('trailers', (_headers, _flags, raw: RawHeaders = []) => {
    trailers = raw;
  });
  stream.on('data', (chunk: Buffer) => {
    heard = lease.heard();
    if (over || sink.data(chunk)) return;
    paused = true;
    stream.pause();
    sink.onDrain(() => {
      paused = false;
      stream.setTimeout(over ? 0 : timeouts.read);
      stream.resume();
    });
  });
  stream.on('end', finish);
  stream.on('error', (error) => fail(streamFailure(error, stream.rstCode, where, lease.unheard())));
  stream.on('close', () => {
    lease.end();
    const what = begun ? 'stream broken off' : 'stream closed without a response';
    fail(new EgressError('closed', true, `${where}: ${what}`, lease.unheard()));
  });
}

function streamFailure(error: Error, code: number | undefined, where: string, unheard: boolean): EgressError {
  switch (code) {
    // A promise that nothing was processed (RFC 9113 section 8.7).
    case constants.NGHTTP2_REFUSED_STREAM:
      return new EgressError('closed', false, `${where}: stream refused`);
    case constants.NGHTTP2_PROTOCOL_ERROR:
      return new EgressError('protocol', true, `${where}: the response is not HTTP/2 (${error.message})`);
    default:
      return requestFailure(error, where, unheard);
  }
}
