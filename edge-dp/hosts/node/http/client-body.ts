import type { Readable } from 'node:stream';
import type { IncomingBodySource } from '../../../http/messages.ts';

/** Bytes that are read ahead of whoever takes them. */
const AHEAD = 64 << 10;

/** The body of a request on its way in. It is one reader's: a web stream's, or a host's that takes the parts as they come. */
export class ClientBody implements IncomingBodySource {
  /** Names of what is to come behind its end, as its client has said (RFC 9110 section 6.6.2). */
  readonly announced: string | null;
  readonly #from: Readable;
  readonly #trailers: () => readonly string[];
  #stream: ReadableStream<Uint8Array> | null = null;
  #putBack = false;
  #broken: Error | null = null;
  #ask: (() => void) | null;
  #onBroken: ((error: Error) => void) | null = null;

  /** `ask`: tells a client that waits with it to send it. `trailers`: what came behind its end, as `announced`. */
  constructor(
    from: Readable,
    ask: (() => void) | null,
    trailers: () => readonly string[],
    announced: string | null = null,
  ) {
    this.announced = announced;
    this.#from = from;
    this.#ask = ask;
    this.#trailers = trailers;
    from.once('error', (error) => this.fail(error));
    from.once('close', () => {
      if (!from.readableEnded) this.fail(new Error('the client went away in the middle of its body'));
    });
  }

  stream(): ReadableStream<Uint8Array> {
    this.#stream ??= webStream(this);
    return this.#stream;
  }

  putBack(rest: ReadableStream<Uint8Array>): void {
    this.#putBack = true;
    this.#stream = rest;
  }

  /** What comes in, unless somebody reads it as a web stream, or has read a part of it. */
  get untouched(): Readable | null {
    return this.#stream === null && !this.#putBack ? this.#from : null;
  }

  /** Names and values in turn; once it has ended. */
  get trailers(): readonly string[] {
    return this.#trailers();
  }

  get source(): Readable {
    return this.#from;
  }

  /** It is no body any more: what follows on the connection is no request either. */
  get broken(): boolean {
    return this.#broken !== null;
  }

  /** Its client waits to be asked for it (`Expect: 100-continue`), and has not been. */
  get unasked(): boolean {
    return this.#ask !== null;
  }

  /** It is going to be read. */
  wanted(): void {
    this.#ask?.();
    this.#ask = null;
  }

  /** The answer is out: what a plugin began to read, and nobody reads on, is not kept any longer. */
  letGo(): void {
    if (this.#stream?.locked === false) this.#stream.cancel().catch(() => undefined);
  }

  /** Calls when it breaks off: at once when it has. */
  onBroken(listener: (error: Error) => void): void {
    this.#onBroken = listener;
    if (this.#broken !== null) listener(this.#broken);
  }

  /** It breaks off here: its client is gone, or what comes is no body any more. */
  fail(error: Error): void {
    if (this.#broken !== null || this.#from.readableEnded) return;
    this.#broken = error;
    this.#onBroken?.(error);
  }
}

function webStream(body: ClientBody): ReadableStream<Uint8Array> {
  const from = body.source;
  body.wanted();
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        body.onBroken((error) => controller.error(error));
        from.on('data', (part: Buffer) => {
          controller.enqueue(part);
          if ((controller.desiredSize ?? 0) <= 0) from.pause();
        });
        from.once('end', () => {
          try {
            controller.close();
          } catch {
            // Cancelled, or broken off.
          }
        });
      },
      pull() {
        from.resume();
      },
      cancel() {
        // What still comes is let go by whoever answers.
        from.removeAllListeners('data');
      },
    },
    { highWaterMark: AHEAD, size: (part) => part?.byteLength ?? 0 },
  );
}
