import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import type { EgressTarget } from '../../proxy/egress/protocol.ts';
import { connect, type Endpoint, placeOf } from './connect.ts';
import { Carried, Connection } from './connection.ts';
import { asEgressError, type Exchange } from './exchange.ts';
import { connectFailure, EgressError, requestFailure, writeTimeout } from './failure.ts';
import { headerOf, requestHeaders, responseHeaders } from './headers.ts';
import { KeyedPool } from './keyed-pool.ts';

/** Bytes of a response head; what workerd itself takes from an upstream. */
const MAX_HEADER_SIZE = 128 * 1024;
/** Milliseconds an idle connection is kept: Kong's `upstream_keepalive_idle_timeout`. */
const KEEP_ALIVE = 60_000;

/** HTTP/1.1 to upstreams: connection pools by everything that makes a connection its own. */
export class Http1 {
  readonly #pools = new KeyedPool<Pool>((pool) => void pool.close());

  /** Sends the exchange's request to `target` and streams the response back. */
  send(exchange: Exchange, target: EgressTarget, endpoint: Endpoint): void {
    const body = exchange.body();
    const where = placeOf(endpoint);
    const handler = new StreamBack(exchange, where);
    if (body !== null) handler.watchWrites(body, target.timeouts.write);
    this.#dispatch(
      endpoint,
      target,
      { method: target.method ?? exchange.request.method ?? 'GET', body },
      exchange.request,
      handler,
    );
  }

  /** Sends an Upgrade request; after the upstream's 101 the two connections become one. */
  upgrade(exchange: Exchange, socket: Socket, head: Buffer, target: EgressTarget, endpoint: Endpoint): void {
    const { request, response } = exchange;
    const protocol = request.headers.upgrade ?? 'websocket';
    const handler = new StreamBack(exchange, placeOf(endpoint), (upstream, raw) => {
      response.detachSocket(socket);
      joinSockets(socket, upstream, protocol, head, raw);
    });
    this.#dispatch(endpoint, target, { method: 'GET', upgrade: protocol }, request, handler);
  }

  close(): void {
    this.#pools.clear();
  }

  #dispatch(
    endpoint: Endpoint,
    target: EgressTarget,
    { method, ...how }: Pick<Dispatcher.DispatchOptions, 'method' | 'body' | 'upgrade'>,
    { rawHeaders }: IncomingMessage,
    handler: StreamBack,
  ): void {
    try {
      this.#pool(endpoint, target).dispatch(
        {
          method,
          path: target.path,
          headers: ['Host', target.authority, ...requestHeaders(rawHeaders)],
          headersTimeout: target.timeouts.read,
          bodyTimeout: target.timeouts.read,
          ...how,
        },
        handler,
      );
    } catch (error) {
      // undici throws for what cannot be put on the wire (a path with a space, two Content-Length headers).
      handler.onResponseError(null, error);
    }
  }

  #pool(endpoint: Endpoint, { scheme, authority }: EgressTarget): Pool {
    const { host, port, tls, connectTimeout } = endpoint;
    // undici drops a TLS connection when the Host changes: requests of different hosts do not share a pool.
    const key = JSON.stringify([
      scheme,
      host,
      port,
      tls && [tls.identity.name, tls.serverName, authority],
      connectTimeout,
    ]);
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

/** Streams one response back to the Worker. */
class StreamBack extends Carried implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange;
  readonly #where: string;
  readonly #onUpgrade: (upstream: Duplex, raw: readonly string[]) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #abandoned = false;
  /** Whether the upstream is not taking the body at the moment. */
  #writing = false;

  constructor(
    exchange: Exchange,
    where: string,
    onUpgrade: (upstream: Duplex, raw: readonly string[]) => void = () => {},
  ) {
    super();
    this.#exchange = exchange;
    this.#where = where;
    this.#onUpgrade = onUpgrade;
    exchange.onAbandoned(() => {
      this.#abandoned = true;
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
    else this.#exchange.onAbandoned(() => controller.abort(new Error('the request was abandoned')));
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    _status: number,
    _headers: unknown,
    upstream: Duplex,
  ): void {
    this.#onUpgrade(upstream, rawHeadersOf(controller));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusMessage?: string,
  ): void {
    // undici reports 1xx the same way; none of them is the response.
    if (status < 200) return;
    const raw = rawHeadersOf(controller);
    const coding = headerOf(raw, 'transfer-encoding');
    // undici undoes `chunked` alone, and the header that names others is not passed on.
    if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
      controller.abort(new EgressError('protocol', true, `${this.#where}: unknown transfer coding '${coding}'`));
      return;
    }
    try {
      this.#exchange.begin(status, statusMessage ?? '', responseHeaders(raw));
    } catch (error) {
      controller.abort(asEgressError(error));
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response } = this.#exchange;
    if (response.write(chunk)) return;
    controller.pause();
    response.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    this.#exchange.end();
  }

  onResponseError(_controller: unknown, error: unknown): void {
    const state = { writing: this.#writing, stale: this.staleSoFar };
    this.#exchange.fail(requestFailure(error, this.#where, state));
  }
}

function joinSockets(worker: Duplex, upstream: Duplex, protocol: string, head: Buffer, raw: readonly string[]): void {
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade'];
  lines.push(`Upgrade: ${headerOf(raw, 'upgrade') ?? protocol}`);
  const kept = responseHeaders(raw);
  for (let at = 0; at < kept.length; at += 2) lines.push(`${kept[at]}: ${kept[at + 1]}`);
  worker.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (head.byteLength > 0) upstream.write(head);
  upstream.pipe(worker);
  worker.pipe(upstream);
  // A half that breaks takes the other with it, so that each side sees how the other ended.
  for (const [one, other] of [
    [worker, upstream],
    [upstream, worker],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}

/** Headers byte for byte, with names as sent. */
function rawHeadersOf({ rawHeaders }: Dispatcher.DispatchController): string[] {
  if (!Array.isArray(rawHeaders)) return [];
  return rawHeaders.map((part) => (typeof part === 'string' ? part : part.toString('latin1')));
}
