import type { Server, Socket } from 'node:net';

/**
 * The connections of a TLS server that are in the middle of their handshake. Neither `close` nor `closeAllConnections` of
 * Node's servers ends them: one that stays silent would keep the server from closing until its handshake times out.
 */
export class Handshakes {
  readonly #sockets = new Map<string, Socket>();

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      const key = peerOf(socket);
      this.#sockets.set(key, socket);
      socket.once('close', () => {
        if (this.#sockets.get(key) === socket) this.#sockets.delete(key);
      });
    });
    server.on('secureConnection', (socket: Socket) => this.#sockets.delete(peerOf(socket)));
  }

  end(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
  }
}

/** The same for a connection and the TLS on it. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
