import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Arrival } from '../../../proxy/request-path.ts';
import { Http2Connection, type Http2Surroundings } from './connection.ts';

/** Milliseconds between two looks at what connections do. */
const LOOKS = 1_000;
/** Milliseconds in which a connection must say what it speaks when its process ends. */
const FIRST = 1_000;

/** What every client of HTTP/2 begins with (RFC 9113 section 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** What a listener offers by ALPN that takes HTTP/2 (RFC 7301), the better first. */
export const PROTOCOLS = ['h2', 'http/1.1'];

interface Options extends Http2Surroundings {
  readonly facts: (socket: Socket) => Arrival;
}

/** The connections of one listener that speak HTTP/2. */
export class Http2Connections {
  readonly #options: Options;
  readonly #open = new Set<Http2Connection>();
  /** Which have not said yet what they speak. */
  readonly #silent = new Set<Socket>();
  #looking: NodeJS.Timeout | null = null;
  #drained: (() => void) | null = null;
  #draining = false;

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * Stands between a server's connections and its HTTP/1: with TLS the client has chosen by ALPN, in clear its first bytes say it
   * (prior knowledge, as nginx takes it beside HTTP/1 on one port).
   */
  intercept(server: Server, { tls }: { readonly tls: boolean }): void {
    const event = tls ? 'secureConnection' : 'connection';
    const others = server.listeners(event);
    const http1 = (socket: Socket): void => {
      for (const listener of others) listener.call(server, socket);
    };
    server.removeAllListeners(event);
    server.on(event, (socket: Socket) => {
      if (!tls) this.#listenFor(socket, http1);
      else if (socket instanceof TLSSocket && socket.alpnProtocol === 'h2') this.#take(socket);
      else http1(socket);
    });
  }

  /** No more requests; resolves when those that there are have been answered. */
  drain(): Promise<void> {
    this.#draining = true;
    // Those that have just come may have sent their first request.
    setTimeout(() => {
      for (const socket of this.#silent) socket.destroy();
    }, FIRST).unref();
    for (const connection of this.#open) connection.leave();
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  #take(socket: Socket): void {
    if (socket.destroyed) return;
    const connection = new Http2Connection(socket, this.#options.facts(socket), this.#options, () => {
      this.#open.delete(connection);
      if (this.#open.size > 0) return;
      if (this.#looking !== null) clearInterval(this.#looking);
      this.#looking = null;
      if (this.#draining) this.#drained?.();
    });
    this.#open.add(connection);
    this.#looking ??= setInterval(() => this.#look(), LOOKS);
    if (this.#draining) connection.leave();
  }

  #look(): void {
    const now = performance.now();
    for (const connection of this.#open) connection.look(now);
  }

  #listenFor(socket: Socket, http1: (socket: Socket) => void): void {
    this.#silent.add(socket);
    const gone = (): void => {
      this.#silent.delete(socket);
    };
    const end = (): void => {
      socket.destroy();
    };
    let first: Buffer = Buffer.alloc(0);
    const decided = (): void => {
      gone();
      socket.off('close', gone).off('error', end).off('timeout', end).off('readable', more).off('end', decided);
      socket.setTimeout(0);
      // It ended without a byte.
      if (first.byteLength === 0) {
        socket.destroy();
        return;
      }
      socket.unshift(first);
      if (first.byteLength >= PREFACE.byteLength && first.subarray(0, PREFACE.byteLength).equals(PREFACE))
        this.#take(socket);
      else http1(socket);
    };
    const more = (): void => {
      for (let part: unknown = socket.read(); Buffer.isBuffer(part); part = socket.read())
        first = first.byteLength === 0 ? part : Buffer.concat([first, part]);
      // Bytes that may still become it; all others are HTTP/1's, or its to refuse.
      const known = first.subarray(0, PREFACE.byteLength);
      if (known.byteLength === PREFACE.byteLength || !known.equals(PREFACE.subarray(0, known.byteLength))) decided();
    };
    socket.once('close', gone).once('error', end).once('timeout', end).once('end', decided);
    socket.setTimeout(this.#options.firstTimeout);
    socket.on('readable', more);
    more();
  }
}
