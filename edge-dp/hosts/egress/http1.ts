import type { Duplex } from 'node:stream';
import type { AnswerSink, UpstreamCall } from './call.ts';
import { connect, type Endpoint, placeOf } from './connect.ts';
import { DirectReads } from './direct-reads.ts';
import { connectFailure, EgressError } from './failure.ts';
import { Http1Connection, Http1Exchange, type Upgraded } from './http1-connection.ts';
import { KeyedPool } from './keyed-pool.ts';

export type { Upgraded } from './http1-connection.ts';

/** Milliseconds an idle connection is kept: Kong's `upstream_keepalive_idle_timeout`. */
const KEEP_ALIVE = 60_000;

/** Hosts whose keys are kept. */
const MOST_KEYS = 1000;

/** HTTP/1.1 to upstreams: connection pools by everything that makes a connection its own. */
export class Http1 {
  readonly #pools = new KeyedPool<Pool>((pool) => pool.close());
  /** Keys of plain endpoints by host, as they were last put together. */
  readonly #keys = new Map<string, { readonly port: number; readonly connectTimeout: number; readonly key: string }>();

  /** Sends a request; the answer goes to `sink`. */
  send(call: UpstreamCall, endpoint: Endpoint, sink: AnswerSink): void {
    this.#pool(endpoint).send(new Http1Exchange(call, sink, null));
  }

  /** Sends an Upgrade request; after the upstream's 101 its connection goes to `upgraded`, with the headers. */
  upgrade(call: UpstreamCall, protocol: string, endpoint: Endpoint, sink: AnswerSink, upgraded: Upgraded): void {
    this.#pool(endpoint).send(new Http1Exchange(call, sink, { protocol, upgraded }));
  }

  close(): void {
    this.#pools.clear();
  }

  #pool(endpoint: Endpoint): Pool {
    const { host, port, tls, connectTimeout, proxy } = endpoint;
    const plain = this.#plainKey(host, port, connectTimeout);
    const direct = tls === null ? plain : `${plain} ${tls.identity.name} ${tls.serverName}`;
    const key = proxy === undefined ? direct : `${direct} by ${JSON.stringify(proxy)}`;
    return this.#pools.get(key, () => new Pool(endpoint));
  }

  #plainKey(host: string, port: number, connectTimeout: number): string {
    const known = this.#keys.get(host);
    if (known?.port === port && known.connectTimeout === connectTimeout) return known.key;
    if (this.#keys.size >= MOST_KEYS) this.#keys.clear();
    const key = `${host} ${port} ${connectTimeout}`;
    this.#keys.set(host, { port, connectTimeout, key });
    return key;
  }
}

/** Connections to one endpoint: as many as there are requests at a time. */
class Pool {
  readonly #endpoint: Endpoint;
  readonly #where: string;
  /** Free ones; the last was used last, and is the least likely to be closed by now. */
  readonly #free: Http1Connection[] = [];
  #closed = false;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.#where = placeOf(endpoint);
  }

  send(exchange: Http1Exchange): void {
    // What becomes a tunnel is a stream from its first byte on.
    const connection = exchange.upgrade === null ? this.#free.pop() : undefined;
    if (connection !== undefined) connection.send(exchange);
    else void this.#open(exchange);
  }

  /** Those in use end with what they are used for. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#free.splice(0)) connection.destroy();
  }

  free(connection: Http1Connection, idle: number | null): void {
    const milliseconds = idle === null ? KEEP_ALIVE : Math.min(idle, KEEP_ALIVE);
    if (this.#closed || milliseconds <= 0) {
      connection.destroy();
      return;
    }
    this.#free.push(connection);
    connection.rest(milliseconds);
  }

  gone(connection: Http1Connection): void {
    const at = this.#free.indexOf(connection);
    if (at >= 0) this.#free.splice(at, 1);
  }

  async #open(exchange: Http1Exchange): Promise<void> {
    let connection: Http1Connection;
    const reads = this.#endpoint.tls === null && exchange.upgrade === null ? new DirectReads() : null;
    try {
      connection = new Http1Connection(await connect(this.#endpoint, reads), reads, this.#where, this);
    } catch (error) {
      exchange.fail(connectFailure(error, this.#where));
      return;
    }
    if (!exchange.abandoned) {
      connection.send(exchange);
      return;
    }
    this.free(connection, null);
    exchange.fail(new EgressError('closed', false, 'the request was abandoned'));
  }
}

/** Two connections as one. */
export function joinSockets(client: Duplex, upstream: Duplex, head: Buffer): void {
  if (head.byteLength > 0) upstream.write(head);
  upstream.pipe(client);
  client.pipe(upstream);
  // A half that breaks takes the other with it, so that each side sees how the other ended; but what it said before its end is still passed on.
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => {
      if (!one.readableEnded || other.writableFinished || other.destroyed) {
        other.destroy();
        return;
      }
      const late = setTimeout(() => other.destroy(), LAST_WORDS);
      other.once('close', () => clearTimeout(late));
      other.once('finish', () => other.destroy());
    });
  }
}

/** Milliseconds for what one side of a tunnel said before its end: nginx's `send_timeout`. */
const LAST_WORDS = 60_000;
