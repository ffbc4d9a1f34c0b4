import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * The connections of a server on which no request has come yet, those in the middle of a TLS handshake included. `close` of
 * Node's servers does not end them: one that stays silent would keep the server from closing until a timeout of minutes.
 */
export class SilentConnections {
  readonly #sockets = new Map<string, Socket>();

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      const key = peerOf(socket);
      this.#sockets.set(key, socket);
      socket.once('close', () => {
        if (this.#sockets.get(key) === socket) this.#sockets.delete(key);
      });
    });
    server.on('request', ({ socket }: IncomingMessage) => this.heard(socket));
  }

  /** A request to upgrade has come; a listener of this class for it would have the server take all of them. */
  heard(socket: Socket): void {
    this.#sockets.delete(peerOf(socket));
  }

  end(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
  }
}

/** The same for a connection and the TLS on it. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
