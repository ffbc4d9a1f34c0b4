import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/** Who is told how a body gets on. */
interface UploadEvents {
  /** The upstream takes nothing for now. */
  onStalled(): void;
  onFlowing(): void;
  onSent(): void;
  onBroken(error: Error): void;
}

/**
 * Sends a body part by part, as fast as the connection takes it: with its length, which it must keep to, or in chunks, with trailers
 * behind the last.
 */
export class Http1Upload {
  readonly #body: Readable;
  readonly #socket: Socket;
  readonly #events: UploadEvents;
  readonly #length: number | null;
  readonly #trailers: () => string;
  #sent = 0;
  #stalled = false;
  #over = false;
  #held = false;

  /** `framing`: bytes; or, for a body in chunks, the lines of its trailers, which are asked for at its end. */
  constructor(body: Readable, framing: number | (() => string), socket: Socket, events: UploadEvents) {
    this.#body = body;
    this.#length = typeof framing === 'number' ? framing : null;
    this.#trailers = typeof framing === 'number' ? () => '' : framing;
    this.#socket = socket;
    this.#events = events;
    body.on('data', (part: Buffer) => this.#send(part));
    body.once('end', () => this.#finish());
    body.once('error', (error) => this.#break(error));
    body.once('close', () => this.#break(new Error('the body broke off')));
  }

  get complete(): boolean {
    return this.#over;
  }

  /** For the connection: there is room again. */
  drained(): void {
    if (!this.#stalled) return;
    this.#stalled = false;
    this.#events.onFlowing();
    if (!this.#over) this.#body.resume();
  }

  /** Nothing more is sent. */
  stop(): void {
    this.#over = true;
    if (!this.#body.destroyed) this.#body.destroy();
  }

  /**
   * What is to be sent goes out when all that has come was read: an upstream that has answered, and closed the connection without reading
   * on, has it reset, and a write that meets this takes the answer with it.
   */
  #afterReads(): void {
    if (this.#held) return;
    this.#held = true;
    this.#socket.cork();
    setImmediate(() => {
      this.#held = false;
      this.#socket.uncork();
    });
  }

  #send(part: Buffer): void {
    if (this.#over || part.byteLength === 0) return;
    this.#sent += part.byteLength;
    const socket = this.#socket;
    this.#afterReads();
    let room: boolean;
    if (this.#length === null) {
      socket.cork();
      socket.write(`${part.byteLength.toString(16)}\r\n`, 'latin1');
      socket.write(part);
      room = socket.write('\r\n', 'latin1');
      socket.uncork();
    } else if (this.#sent > this.#length) {
      this.#break(new Error('the body is longer than its Content-Length'));
      return;
    } else room = socket.write(part);
    if (room) return;
    this.#stalled = true;
    this.#body.pause();
    this.#events.onStalled();
  }

  #finish(): void {
    if (this.#over) return;
    if (this.#length !== null && this.#sent < this.#length) {
      this.#break(new Error('the body is shorter than its Content-Length'));
      return;
    }
    this.#over = true;
    if (this.#length === null && !this.#socket.write(`0\r\n${this.#trailers()}\r\n`, 'latin1') && !this.#stalled) {
      this.#stalled = true;
      this.#events.onStalled();
    }
    this.#events.onSent();
  }

  #break(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.onBroken(error);
  }
}
