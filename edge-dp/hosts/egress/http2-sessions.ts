import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import type { Socket } from 'node:net';
import { connect, type Endpoint, placeOf } from './connect.ts';
import { EgressError } from './failure.ts';

/** Streams at a time where the upstream has not said yet how many it takes: what RFC 9113 section 6.5.2 recommends at least. */
const UNTOLD = 100;

const OPTIONS = {
  // What upstreams repeat is passed on.
  strictSingleValueFields: false,
  maxHeaderListPairs: 2_000,
  // Bytes of a response head: as over HTTP/1.1.
  settings: { enablePush: false, maxHeaderListSize: 128 << 10 },
} as const;

/** Milliseconds without a byte in which clients leave unanswered, after which a connection has no more streams begun on it. */
const PATIENCE = 2_000;

/** A place for one stream on a connection. */
export interface Http2Lease {
  readonly session: ClientHttp2Session;
  /** The connection had served others, and nothing came on it since this stream began. */
  readonly unheard: () => boolean;
  /** Bytes that have come on the connection. */
  readonly heard: () => number;
  /** Nobody is to begin another stream on the connection; those there are go on. */
  readonly giveUp: () => void;
  /** The stream is left with nothing heard since it began: gives the connection up if that goes on. */
  readonly doubt: () => void;
  /** The stream is over. */
  readonly end: () => void;
}

/** A connection to an upstream, and how many streams it carries. */
class Http2Upstream {
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
  #open = 0;
  #carried = 0;
  /** Streams at a time, as far as it has said. */
  #most = UNTOLD;
  /** Nothing new is sent on it. */
  #leaving = false;
  /** Somebody left without an answer: what had come by then, and when. */
  #silent: { readonly bytesRead: number; readonly since: number } | null = null;

  constructor(socket: Socket, endpoint: Endpoint) {
    this.#socket = socket;
    const scheme = endpoint.tls === null ? 'http' : 'https';
    this.#session = connectHttp2(`${scheme}://${placeOf(endpoint)}`, { ...OPTIONS, createConnection: () => socket });
    this.#session.on('remoteSettings', ({ maxConcurrentStreams = UNTOLD }) => {
      this.#most = maxConcurrentStreams;
    });
    // Requests on it report their own errors; the session only has to be replaced.
    for (const event of ['error', 'goaway', 'close']) this.#session.on(event, () => this.leave());
  }

  get hasRoom(): boolean {
    return this.usable && this.#open < this.#most;
  }

  get usable(): boolean {
    return !this.#leaving && !this.#session.closed && !this.#session.destroyed && this.#most > 0;
  }

  begin(): Http2Lease {
    const read = this.#socket.bytesRead;
    const reused = this.#carried > 0;
    this.#open += 1;
    this.#carried += 1;
    return {
      session: this.#session,
      unheard: () => reused && this.#socket.bytesRead === read,
      heard: () => this.#socket.bytesRead,
      giveUp: () => this.close(),
      doubt: () => this.#doubt(),
      end: () => {
        this.#open -= 1;
      },
    };
  }

  /** No PING asks it: servers of gRPC end a connection, with all that is on it, upon a few of them. */
  #doubt(): void {
    const { bytesRead } = this.#socket;
    const now = performance.now();
    if (this.#silent?.bytesRead !== bytesRead) this.#silent = { bytesRead, since: now };
    else if (now - this.#silent.since >= PATIENCE) this.close();
  }

  leave(): void {
    this.#leaving = true;
  }

  close(): void {
    this.leave();
    this.#session.close();
  }
}

/** Connections to one endpoint: one after the other is filled with as many streams as the upstream takes. */
export class Http2Sessions {
  readonly #endpoint: Endpoint;
  #open: Http2Upstream[] = [];
  /** One that is being made, and who waits for it. */
  #coming: Promise<Http2Upstream> | null = null;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** A place on one that has room. Rejects with an `EgressError` when there is no connection. */
  async take(): Promise<Http2Lease> {
    for (;;) {
      const free = this.#open.find((upstream) => upstream.hasRoom);
      if (free !== undefined) return free.begin();
      const useless = this.#open.filter((upstream) => !upstream.usable);
      this.#open = this.#open.filter((upstream) => upstream.usable);
      // One that takes no streams would be open for as long as its other side likes.
      for (const upstream of useless) upstream.close();
      this.#coming ??= this.#connect();
      const made = await this.#coming;
      if (made.hasRoom) return made.begin();
      if (!made.usable) throw new EgressError('closed', false, `${placeOf(this.#endpoint)}: takes no streams`);
    }
  }

  close(): void {
    for (const upstream of this.#open.splice(0)) upstream.close();
  }

  async #connect(): Promise<Http2Upstream> {
    try {
      const upstream = new Http2Upstream(await connect(this.#endpoint), this.#endpoint);
      this.#open.push(upstream);
      return upstream;
    } finally {
      this.#coming = null;
    }
  }
}
