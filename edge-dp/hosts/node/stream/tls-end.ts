import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { serverTls, type TlsOptions } from '../http/server-tls.ts';

/** Milliseconds for a handshake: nginx's `ssl_handshake_timeout`. */
const HANDSHAKE_PATIENCE = 60_000;

/** Ends TLS on connections that others have accepted, and looked into: the server that knows how never listens itself. */
export class TlsEnd {
  readonly #server: Server;
  /** By the client's address: no two connections of one listener have the same. */
  readonly #waiting = new Map<string, (secured: TLSSocket) => void>();

  constructor(options: TlsOptions) {
    const limits = { allowHalfOpen: true, handshakeTimeout: HANDSHAKE_PATIENCE };
    this.#server = createServer({ ...serverTls(options), ...limits });
    this.#server.on('tlsClientError', (_error, secured) => secured.destroy());
    this.#server.on('secureConnection', (secured) => this.#waiting.get(addressOf(secured))?.(secured));
  }

  /** Null: the client did not go through with it, and the connection is closed. */
  over(socket: Socket): Promise<TLSSocket | null> {
    const address = addressOf(socket);
    return new Promise((resolve) => {
      const settle = (secured: TLSSocket | null): void => {
        socket.off('close', closed);
        this.#waiting.delete(address);
        secured?.on('error', () => undefined);
        resolve(secured);
      };
      const closed = (): void => settle(null);
      if (socket.destroyed) {
        settle(null);
        return;
      }
      socket.once('close', closed);
      this.#waiting.set(address, settle);
      this.#server.emit('connection', socket);
    });
  }
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
