import type { Socket } from 'node:net';
import { Client, type Dispatcher } from 'undici';

/** A client of one connection at a time that knows what the connection has carried. */
export class Connection extends Client {
  #socket: Socket | null = null;
  #begun = 0;

  /** `open` makes its next connection. */
  constructor(origin: URL, options: Client.Options, open: () => Promise<Socket>) {
    const adopt = (socket: Socket): void => {
      this.#socket = socket;
      this.#begun = 0;
    };
    super(origin, {
      ...options,
      connect: (_options, callback) => {
        open().then(
          (socket) => {
            adopt(socket);
            callback(null, socket);
          },
          (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
        );
      },
    });
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (handler instanceof Carried) handler.carrier = this;
    return super.dispatch(options, handler);
  }

  /** A request begins on it. Tells, later, whether it was an older connection that ended without a byte of answer. */
  begin(): () => boolean {
    const socket = this.#socket;
    const read = socket?.bytesRead;
    this.#begun += 1;
    const reused = this.#begun > 1;
    return () => reused && socket?.bytesRead === read;
  }
}

/** The handler of a request that wants to know of the connection it went out on. */
export abstract class Carried {
  /** Set when the request is given to one; another one may take its place before it is sent. */
  carrier: Connection | null = null;
  #unanswered: () => boolean = () => false;

  /** For `onRequestStart`: the request is written now. */
  protected begun(): void {
    if (this.carrier !== null) this.#unanswered = this.carrier.begin();
  }

  /** The connection had served others before, and nothing was read from it since this request began. */
  protected get staleSoFar(): boolean {
    return this.#unanswered();
  }
}
