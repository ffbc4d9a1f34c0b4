import { Readable } from 'node:stream';
import { ReadTimeout } from '../../../http/read-timeout.ts';
import { BodyTooLarge, type UpstreamBody } from '../../../proxy/egress/egress.ts';
import { ClientBody } from '../http/client-body.ts';

type Incoming = Extract<UpstreamBody, { kind: 'incoming' }>;

/**
 * A client's body on its way upstream, as a stream of its own: HTTP clients destroy the body of a request that failed, and with it
 * would go the client's connection. Fails with what the client did wrong: `ReadTimeout`, `BodyTooLarge`, or that it went away.
 */
export class Upload extends Readable {
  /** What the client did. */
  broken: Error | null = null;
  readonly #patience: number;
  readonly #limit: Incoming['limit'];
  #passed = 0;
  #timer: NodeJS.Timeout | null = null;
  readonly #from: Readable;

  constructor({ source, patience, limit }: Incoming) {
    super({ highWaterMark: 64 << 10 });
    this.#patience = patience;
    this.#limit = limit;
    const untouched = source instanceof ClientBody ? source.untouched : null;
    this.#from = untouched ?? Readable.fromWeb(source.stream());
    if (source instanceof ClientBody && untouched !== null) {
      source.wanted();
      source.onBroken((error) => this.#break(error));
    } else {
      this.#from.once('error', (error) => this.#break(error));
    }
    this.#from.pause();
    this.#from.on('data', (part: Buffer) => this.#take(part));
    this.#from.once('end', () => {
      this.#rest();
      this.push(null);
    });
  }

  override _read(): void {
    this.#timer ??= setTimeout(() => this.#break(new ReadTimeout(`nothing for ${this.#patience} ms`)), this.#patience);
    this.#from.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#rest();
    this.#from.removeAllListeners('data');
    callback(error);
  }

  #take(part: Buffer): void {
    this.#rest();
    this.#passed += part.byteLength;
    if (this.#limit !== null && this.#passed > this.#limit.bytes) {
      this.#break(new BodyTooLarge(this.#limit));
      return;
    }
    if (!this.push(part)) this.#from.pause();
  }

  #break(error: Error): void {
    if (this.destroyed || this.readableEnded) return;
    this.broken = error;
    this.destroy(error);
  }

  #rest(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
