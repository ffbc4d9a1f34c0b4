import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Milliseconds in which the first request of a connection must be on its way when its process ends. */
const FIRST = 1_000;

/**
 * Connections of a server on which no request has come yet. To Node they are idle, and end with the server; but whoever has just
 * connected may have sent its first, which would be lost: they have a moment more, as with nginx.
 */
export class FreshConnections {
  readonly #sockets = new Set<Socket>();
  #draining = false;

  /** `event`: what the server emits for each connection that HTTP is spoken on. */
  constructor(server: Server, event: 'connection' | 'secureConnection') {
    server.on(event, (socket: Socket) => this.#arrived(socket));
    const closeIdle = server.closeIdleConnections.bind(server);
    // `close` calls it, too.
    server.closeIdleConnections = () => {
      for (const socket of this.#sockets) socket.destroy = () => socket;
      closeIdle();
      for (const socket of this.#sockets) Reflect.deleteProperty(socket, 'destroy');
    };
  }

  /** A request has come on it. */
  delete(socket: Socket): void {
    this.#sockets.delete(socket);
  }

  /** Ends them in a moment, and those that come meanwhile. */
  drain(): void {
    this.#draining = true;
    for (const socket of this.#sockets) this.#endSoon(socket);
  }

  #arrived(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#draining) this.#endSoon(socket);
  }

  #endSoon(socket: Socket): void {
    setTimeout(() => this.#sockets.has(socket) && socket.destroy(), FIRST).unref();
  }
}
