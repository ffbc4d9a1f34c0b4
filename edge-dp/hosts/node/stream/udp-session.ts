import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { messageOf } from '../../../../shared/thrown.ts';
import type { UpstreamFailure } from '../../../proxy/egress/egress.ts';
import type { Dial, StreamPassage, StreamPlace } from '../../../stream/passage.ts';
import { placeOf } from '../../egress/connect.ts';
import { connectFailure } from '../../egress/failure.ts';

/** Datagrams, and bytes of them, that are kept for an upstream that is not there yet, or has not answered. */
const MOST_KEPT = 32;
const MOST_KEPT_BYTES = 128 << 10;
/**
 * Bytes that all sessions of a process keep, for senders of forged addresses may have as many as there can be; and up to which they do for
 * another upstream, lest those whose upstream never answers leave no room for those that wait for their first.
 */
const MOST_KEPT_IN_ALL = 64 << 20;
const MOST_KEPT_FOR_ANOTHER = 32 << 20;
/** Milliseconds for the answers that are still on their way once the client's datagrams go to another process. */
const LAST_ANSWERS = 2_000;

let keptInAll = 0;

/** Bytes that are kept by all sessions of this process. */
export function bytesKept(): number {
  return keptInAll;
}

/** What one client sends to a UDP listener, and what it is answered, until nothing has come for a while. */
export class UdpSession {
  readonly #reply: (datagram: Buffer) => void;
  readonly #onEnd: () => void;
  /** What no upstream has answered: for the next one. Null once one has. */
  #kept: Buffer[] | null = [];
  #keptBytes = 0;
  #passage: StreamPassage | null = null;
  #upstream: Socket | null = null;
  #idle: NodeJS.Timeout | undefined;
  #over = false;
  readonly #moved = { received: 0, sent: 0, upstream: { received: 0, sent: 0 } };

  constructor(
    open: () => StreamPassage | null | Promise<StreamPassage | null>,
    reply: (datagram: Buffer) => void,
    onEnd: () => void,
  ) {
    this.#reply = reply;
    this.#onEnd = onEnd;
    this.#begin(open).catch((error: unknown) => this.#failed(error));
  }

  /** From the client. */
  send(datagram: Buffer): void {
    this.#moved.received += datagram.length;
    this.#idle?.refresh();
    if (this.#hasRoom(datagram)) {
      this.#kept?.push(datagram);
      this.#keptBytes += datagram.length;
      keptInAll += datagram.length;
    }
    if (this.#upstream !== null) this.#forward(this.#upstream, datagram);
  }

  /** No more comes from the client: what is on its way to it is waited for. */
  finish(): void {
    if (this.#upstream === null) this.end();
    else this.#wait(LAST_ANSWERS);
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#idle);
    this.#letGo();
    this.#kept = null;
    this.#close();
    this.#passage?.ended(this.#moved);
    this.#onEnd();
  }

  #hasRoom({ length }: Buffer): boolean {
    if (this.#over || this.#kept === null || this.#kept.length >= MOST_KEPT) return false;
    const most = this.#upstream === null ? MOST_KEPT_IN_ALL : MOST_KEPT_FOR_ANOTHER;
    return this.#keptBytes + length <= MOST_KEPT_BYTES && keptInAll + length <= most;
  }

  /** What is kept goes to nobody any more. */
  #letGo(): void {
    this.#kept?.splice(0);
    keptInAll -= this.#keptBytes;
    this.#keptBytes = 0;
  }

  #failed(error: unknown): void {
    console.error(`a UDP session failed: ${messageOf(error)}`);
    this.end();
  }

  async #begin(open: () => StreamPassage | null | Promise<StreamPassage | null>): Promise<void> {
    this.#passage = await open();
    if (this.#over) {
      // It could not be told before.
      this.#passage?.ended(this.#moved);
      return;
    }
    const upstream = (await this.#passage?.open(this.#dial)) ?? null;
    const farewell = this.#passage?.farewell ?? null;
    if (upstream === null && farewell !== null && !this.#over) {
      this.#moved.sent += farewell.length;
      this.#reply(Buffer.from(farewell));
    }
    this.#goOn(upstream);
  }

  #goOn(upstream: Socket | null): void {
    if (upstream === null || this.#over || this.#passage === null) {
      upstream?.close();
      this.end();
      return;
    }
    this.#upstream = upstream;
    upstream.on('message', (datagram) => this.#answer(datagram));
    this.#wait(this.#passage.timeouts.read);
    for (const datagram of this.#kept ?? []) this.#forward(upstream, datagram);
    if (keptInAll > MOST_KEPT_FOR_ANOTHER) this.#letGo();
  }

  #answer(datagram: Buffer): void {
    if (this.#kept !== null) {
      this.#letGo();
      this.#kept = null;
      this.#passage?.connected();
    }
    this.#moved.upstream.received += datagram.length;
    this.#moved.sent += datagram.length;
    this.#idle?.refresh();
    this.#reply(datagram);
  }

  #forward(upstream: Socket, datagram: Buffer): void {
    upstream.send(datagram, (error) => {
      if (error !== null) this.#broken(upstream, error);
      else this.#moved.upstream.sent += datagram.length;
    });
  }

  /** The machine, or a network on the way, says that nobody is there. */
  #broken(upstream: Socket, error: Error): void {
    if (upstream !== this.#upstream || this.#over) return;
    this.#close();
    if (this.#kept === null || this.#passage === null) {
      this.end();
      return;
    }
    const { failure } = connectFailure(error, 'over UDP');
    this.#passage.reopen(failure, this.#dial).then(
      (next) => this.#goOn(next),
      (error: unknown) => this.#failed(error),
    );
  }

  readonly #dial: Dial<Socket> = async (place) => {
    try {
      const connection = await connected(place);
      connection.on('error', (error) => this.#broken(connection, error));
      return { kind: 'connected', connection };
    } catch (error) {
      const failure: UpstreamFailure = connectFailure(error, `${placeOf(place)} over UDP`).failure;
      return { kind: 'failure', failure };
    }
  };

  #wait(milliseconds: number): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.end(), milliseconds);
  }

  #close(): void {
    this.#upstream?.close();
    this.#upstream = null;
  }
}

/** A socket that takes datagrams of that peer alone, and is told when there is none. */
async function connected({ host, port }: StreamPlace): Promise<Socket> {
  const { address, family } = await lookup(host);
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once('error', fail);
    // Node's types do not know that it is told here, and only here, what the system said: that there is no way there.
    socket.connect(port, address, (error?: Error | null) => {
      socket.off('error', fail);
      if (error) fail(error);
      else resolve();
    });
  });
  return socket;
}
