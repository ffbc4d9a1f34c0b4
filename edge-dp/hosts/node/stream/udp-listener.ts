import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { messageOf } from '../../../../shared/thrown.ts';
import { stopReceiving } from '../../udp-handle.ts';
import { plainIp } from '../http/listener.ts';
import type { OpenSession, StreamListener } from './tcp-listener.ts';
import { UdpSession } from './udp-session.ts';

export interface UdpListenerOptions {
  readonly descriptor: number;
  readonly port: number;
  /** What it is bound to. */
  readonly address: string;
  /** Sessions of this process, each with a socket of its own; beyond, the one that was quiet for longest goes. 4,096 when absent. */
  readonly most?: number;
}

const MOST_SESSIONS = 4_096;

/** Takes datagrams on a bound socket: those of one client address and port are a session. Resolves when it takes them. */
export async function listenForUdp(options: UdpListenerOptions, open: OpenSession): Promise<StreamListener> {
  const { descriptor, port, address } = options;
  const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
  const listener = new UdpListener(socket, options, open);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ fd: descriptor }, () => {
      socket.off('error', reject);
      socket.on('error', (error) => console.error(`port ${port}: ${error.message}`));
      resolve();
    });
  });
  return listener;
}

class UdpListener implements StreamListener {
  readonly #socket: Socket;
  readonly #options: UdpListenerOptions;
  readonly #open: OpenSession;
  /** By client; those that were quiet for longest first. */
  readonly #sessions = new Map<string, UdpSession>();
  #drained: (() => void) | null = null;

  constructor(socket: Socket, options: UdpListenerOptions, open: OpenSession) {
    this.#socket = socket;
    this.#options = options;
    this.#open = open;
    socket.on('message', (datagram, from) => this.#take(datagram, from));
  }

  /** What comes from now on is for the process that takes this one's place; answers still go out. */
  drain(): Promise<void> {
    stopReceiving(this.#socket);
    return new Promise((resolve) => {
      this.#drained = () => {
        this.#socket.close();
        resolve();
      };
      for (const session of [...this.#sessions.values()]) session.finish();
      this.#leaveEmpty();
    });
  }

  cut(): void {
    for (const session of [...this.#sessions.values()]) session.end();
  }

  #take(datagram: Buffer, from: RemoteInfo): void {
    const client = `${from.address} ${from.port}`;
    let session = this.#sessions.get(client);
    if (session === undefined) {
      session = this.#begin(client, from);
    } else {
      this.#sessions.delete(client);
      this.#sessions.set(client, session);
    }
    session.send(datagram);
  }

  #begin(client: string, from: RemoteInfo): UdpSession {
    const { port, address, most = MOST_SESSIONS } = this.#options;
    if (this.#sessions.size >= most) this.#sessions.values().next().value?.end();
    const arrival = {
      protocol: 'udp',
      peerIp: plainIp(from.address),
      peerPort: from.port,
      localIp: address === '0.0.0.0' || address === '::' ? null : address,
      localPort: port,
      serverName: null,
      proxied: null,
      waitUntil,
    } as const;
    const session = new UdpSession(
      () => this.#open(arrival),
      (datagram) => {
        // Who sends from port 0 wants no answer (RFC 768), and Node throws for one.
        if (from.port !== 0) this.#socket.send(datagram, from.port, from.address, () => {});
      },
      () => {
        if (this.#sessions.get(client) === session) this.#sessions.delete(client);
        this.#leaveEmpty();
      },
    );
    this.#sessions.set(client, session);
    return session;
  }

  #leaveEmpty(): void {
    if (this.#sessions.size > 0) return;
    this.#drained?.();
    this.#drained = null;
  }
}

function waitUntil(work: Promise<unknown>): void {
  work.catch((error: unknown) => console.error(`work after a session failed: ${messageOf(error)}`));
}
