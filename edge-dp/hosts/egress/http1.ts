import type { Socket } from 'node:net';
import { type Duplex, Readable } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import type { AnswerSink, UpstreamCall } from './call.ts';
import { connect, type Endpoint, placeOf } from './connect.ts';
import { Carried, Connection } from './connection.ts';
import { asEgressError, connectFailure, EgressError, requestFailure, writeTimeout } from './failure.ts';
import { headerOf, type RawHeaders } from './headers.ts';
import { KeyedPool } from './keyed-pool.ts';

/** Bytes of a response head; what workerd itself takes from an upstream. */
const MAX_HEADER_SIZE = 128 * 1024;
/** Milliseconds an idle connection is kept: Kong's `upstream_keepalive_idle_timeout`. */
const KEEP_ALIVE = 60_000;

/** HTTP/1.1 to upstreams: connection pools by everything that makes a connection its own. */
export class Http1 {
  readonly #pools = new KeyedPool<Pool>((pool) => void pool.close());

  /** Sends a request; the answer goes to `sink`. */
  send(call: UpstreamCall, endpoint: Endpoint, sink: AnswerSink): void {
    const handler = new StreamBack(sink, placeOf(endpoint), null);
    const { body, timeouts } = call;
    if (body instanceof Readable) handler.watchWrites(body, timeouts.write);
    this.#dispatch(endpoint, call, { body }, handler);
  }

  /** Sends an Upgrade request; after the upstream's 101 its connection goes to `upgraded`, with the headers. */
  upgrade(call: UpstreamCall, protocol: string, endpoint: Endpoint, sink: AnswerSink, upgraded: Upgraded): void {
    const handler = new StreamBack(sink, placeOf(endpoint), upgraded);
    this.#dispatch(endpoint, call, { upgrade: protocol }, handler);
  }

  close(): void {
    this.#pools.clear();
  }

  #dispatch(
    endpoint: Endpoint,
    call: UpstreamCall,
    how: Pick<Dispatcher.DispatchOptions, 'body' | 'upgrade'>,
    handler: StreamBack,
  ): void {
    const { method, path, authority, headers, timeouts } = call;
    try {
      this.#pool(endpoint, call).dispatch(
        {
          method,
          path,
          headers: ['Host', authority, ...headers],
          headersTimeout: timeouts.read,
          bodyTimeout: timeouts.read,
          ...how,
        },
        handler,
      );
    } catch (error) {
      // undici throws for what cannot be put on the wire (a path with a space, two Content-Length headers).
      handler.onResponseError(null, error);
    }
  }

  #pool(endpoint: Endpoint, { scheme, authority }: UpstreamCall): Pool {
    const { host, port, tls, connectTimeout } = endpoint;
    // undici drops a TLS connection when the Host changes: requests of different hosts do not share a pool.
    const key =
      tls === null
        ? `${host} ${port} ${connectTimeout}`
        : JSON.stringify([host, port, tls.identity.name, tls.serverName, authority, connectTimeout]);
    return this.#pools.get(key, () => {
      const where = placeOf(endpoint);
      const options = { allowH2: false, keepAliveTimeout: KEEP_ALIVE, maxHeaderSize: MAX_HEADER_SIZE };
      const open = (): Promise<Socket> =>
        connect(endpoint).catch((error: unknown) => Promise.reject(connectFailure(error, where)));
      return new Pool(`${scheme}://${where}`, {
        allowH2: false,
        connections: null,
        factory: (origin) => new Connection(origin, options, open),
      });
    });
  }
}

/** Takes the connection of an Upgrade request over. */
export type Upgraded = (upstream: Duplex, headers: RawHeaders) => void;

/** Streams one response back. */
class StreamBack extends Carried implements Dispatcher.DispatchHandler {
  readonly #sink: AnswerSink;
  readonly #where: string;
  readonly #onUpgrade: Upgraded | null;
  #controller: Dispatcher.DispatchController | null = null;
  #abandoned = false;
  /** Whether the upstream is not taking the body at the moment. */
  #writing = false;

  constructor(sink: AnswerSink, where: string, onUpgrade: Upgraded | null) {
    super();
    this.#sink = sink;
    this.#where = where;
    this.#onUpgrade = onUpgrade;
    sink.onAbandoned(() => {
      this.#abandoned = true;
      this.#controller?.abort(new Error('the request was abandoned'));
    });
  }

  /** undici pauses the body while the upstream takes nothing: more than `timeout` ms of that is a failure. */
  watchWrites(body: Readable, timeout: number): void {
    let timer: NodeJS.Timeout | null = null;
    const clear = (): void => {
      this.#writing = false;
      if (timer !== null) clearTimeout(timer);
    };
    body.on('pause', () => {
      clear();
      this.#writing = true;
      timer = setTimeout(() => this.#controller?.abort(writeTimeout(this.#where)), timeout);
    });
    for (const event of ['resume', 'close', 'end']) body.on(event, clear);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.begun();
    if (this.#abandoned) controller.abort(new Error('the request was abandoned'));
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    _status: number,
    _headers: unknown,
    upstream: Duplex,
  ): void {
    this.#onUpgrade?.(upstream, rawHeadersOf(controller.rawHeaders));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusMessage?: string,
  ): void {
    // undici reports 1xx the same way; none of them is the response.
    if (status < 200) return;
    const raw = rawHeadersOf(controller.rawHeaders);
    const coding = headerOf(raw, 'transfer-encoding');
    // undici undoes `chunked` alone, and the header that names others is not passed on.
    if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
      controller.abort(new EgressError('protocol', true, `${this.#where}: unknown transfer coding '${coding}'`));
      return;
    }
    try {
      this.#sink.begin(status, statusMessage ?? '', raw);
    } catch (error) {
      controller.abort(asEgressError(error));
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#sink.data(chunk)) return;
    controller.pause();
    this.#sink.onDrain(() => controller.resume());
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#sink.end(rawHeadersOf(controller.rawTrailers));
  }

  onResponseError(_controller: unknown, error: unknown): void {
    const state = { writing: this.#writing, stale: this.staleSoFar };
    this.#sink.fail(requestFailure(error, this.#where, state));
  }
}

/** Two connections as one. */
export function joinSockets(client: Duplex, upstream: Duplex, head: Buffer): void {
  if (head.byteLength > 0) upstream.write(head);
  upstream.pipe(client);
  client.pipe(upstream);
  // A half that breaks takes the other with it, so that each side sees how the other ended.
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}

/** Headers byte for byte, with names as sent. */
function rawHeadersOf(lines: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(lines)) return [];
  return lines.map((part) => (typeof part === 'string' ? part : part.toString('latin1')));
}
