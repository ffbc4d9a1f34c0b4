import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ClientTls } from '../../../proxy/request-path.ts';
import { endsOf } from '../known-peer.ts';
import type { ClientHello } from '../tls/client-hello.ts';
import { SocketTls } from '../tls/client-tls.ts';
import { Handshakes, type ListenerTlsOptions, type TlsPeer } from '../tls/handshakes.ts';

/** Milliseconds for a handshake: nginx's `ssl_handshake_timeout`. */
const HANDSHAKE_PATIENCE = 60_000;

/** A connection whose TLS ends here, and what that came to: it is known still when the connection has ended. */
export interface Secured {
  readonly socket: TLSSocket;
  readonly tls: ClientTls;
}

/** Ends TLS on connections that others have accepted, and looked into. */
export class TlsEnd {
  readonly #handshakes: Handshakes;
  /** By both ends. */
  readonly #waiting = new Map<string, (secured: TLSSocket) => void>();

  constructor(options: ListenerTlsOptions) {
    this.#handshakes = new Handshakes(
      { ...options, protocols: [], patience: HANDSHAKE_PATIENCE },
      {
        secured: (secured) => this.#waiting.get(endsOf(secured))?.(secured),
        plain: (socket) => socket.destroy(),
      },
    );
  }

  /** Null: the client did not go through with it, and the connection is closed. */
  over(socket: Socket, hello: ClientHello, peer: TlsPeer): Promise<Secured | null> {
    const ends = endsOf(socket);
    return new Promise((resolve) => {
      const settle = (secured: TLSSocket | null): void => {
        socket.off('close', closed);
        this.#waiting.delete(ends);
        secured?.on('error', () => undefined);
        resolve(secured === null ? null : { socket: secured, tls: this.#factsOf(secured) });
      };
      const closed = (): void => settle(null);
      if (socket.destroyed) {
        settle(null);
        return;
      }
      socket.once('close', closed);
      this.#waiting.set(ends, settle);
      this.#handshakes.begin(socket, hello, peer);
    });
  }

  #factsOf(secured: TLSSocket): ClientTls {
    const tls = new SocketTls(secured, this.#handshakes.askedOf(secured));
    const { version, cipher, clientVerify, refusal, clientCertificate } = tls;
    return { version, cipher, clientVerify, refusal, clientCertificate };
  }
}
