import type { Socket } from 'node:net';

/** How many connections of one kind wait; the one that has waited longest goes first. */
const MOST = 64;
/** The longest Node's timers keep. */
const LONGEST = 2_147_483_647;

interface Idle {
  readonly socket: Socket;
  /** Lets go of the socket: nobody watches it any more. */
  readonly release: () => void;
}

/** Connections nobody uses for the moment, by what they were opened for. */
export class IdleConnections {
  readonly #waiting = new Map<string, Idle[]>();

  /** Keeps a connection for at most so many milliseconds. A byte or an end from its peer ends it: nobody asked for any. */
  put(kind: string, socket: Socket, milliseconds: number): void {
    const end = (): void => {
      release();
      socket.destroy();
    };
    const timer = setTimeout(end, Math.min(milliseconds, LONGEST));
    timer.unref();
    const release = (): void => {
      clearTimeout(timer);
      for (const event of ['data', 'end', 'close']) socket.off(event, end);
      socket.pause();
      this.#remove(kind, socket);
    };
    for (const event of ['data', 'end', 'close']) socket.once(event, end);
    socket.resume();
    const waiting = this.#waiting.get(kind) ?? [];
    waiting.push({ socket, release });
    this.#waiting.set(kind, waiting);
    const [oldest] = waiting;
    if (waiting.length > MOST && oldest !== undefined) {
      oldest.release();
      oldest.socket.destroy();
    }
  }

  /** The one used last: it is the least likely to be closed by now. Null: there is none. */
  take(kind: string): Socket | null {
    const idle = this.#waiting.get(kind)?.at(-1);
    if (idle === undefined) return null;
    idle.release();
    return idle.socket;
  }

  #remove(kind: string, socket: Socket): void {
    const left = (this.#waiting.get(kind) ?? []).filter((idle) => idle.socket !== socket);
    if (left.length === 0) this.#waiting.delete(kind);
    else this.#waiting.set(kind, left);
  }
}
