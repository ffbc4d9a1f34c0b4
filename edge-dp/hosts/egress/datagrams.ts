import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { messageOf } from '../../../shared/thrown.ts';
import { connectFailure, EgressError } from './failure.ts';

/** Milliseconds for which an address is good: a name is not looked up for every packet. */
const FRESH = 10_000;
const MOST_NAMES = 1000;

interface Address {
  readonly address: string;
  readonly family: number;
}

/** UDP packets, sent and forgotten. */
export class Datagrams {
  readonly #sockets = new Map<number, Socket>();
  readonly #addresses = new Map<string, { readonly found: Promise<Address>; readonly until: number }>();

  /**
   * Resolves when the system has taken them. Rejects with an `EgressError` where it took none: who tried again for the sake of some would
   * send the others twice, and what they count would be counted twice.
   */
  async send(host: string, port: number, packets: readonly Uint8Array[]): Promise<void> {
    const where = `${host}:${port} over UDP`;
    try {
      const { address, family } = await this.#resolve(host);
      const socket = this.#socket(family);
      const lost: unknown[] = [];
      for (const packet of packets) {
        try {
          await sent(socket, packet, port, address);
        } catch (error) {
          lost.push(error);
        }
      }
      if (lost.length === 0) return;
      if (lost.length === packets.length) throw lost[0];
      console.error(`${where}: ${lost.length} of ${packets.length} packets were lost: ${messageOf(lost[0])}`);
    } catch (error) {
      throw connectFailure(error, where);
    }
  }

  #socket(family: number): Socket {
    let socket = this.#sockets.get(family);
    if (socket === undefined) {
      socket = createSocket(family === 6 ? 'udp6' : 'udp4');
      // What a packet met on its way is told by its own callback.
      socket.on('error', () => {});
      socket.unref();
      this.#sockets.set(family, socket);
    }
    return socket;
  }

  #resolve(host: string): Promise<Address> {
    const family = isIP(host);
    if (family !== 0) return Promise.resolve({ address: host, family });
    const known = this.#addresses.get(host);
    if (known !== undefined && known.until > performance.now()) return known.found;
    if (this.#addresses.size >= MOST_NAMES) this.#addresses.clear();
    const found = lookup(host);
    this.#addresses.set(host, { found, until: performance.now() + FRESH });
    found.catch(() => this.#addresses.delete(host));
    return found;
  }
}

function sent(socket: Socket, packet: Uint8Array, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(packet, port, address, (error) => {
      if (error === null) resolve();
      else reject(new EgressError('unreachable', false, `a packet of ${packet.byteLength} bytes: ${error.message}`));
    });
  });
}
