import { messageOf } from '../../shared/thrown.ts';
import { type BodySource, type IncomingRequest, streamSource } from '../http/messages.ts';
import { ReadTimeout, withTimeout } from '../http/read-timeout.ts';
import type { UpstreamBody } from './egress/egress.ts';

/** The client went away in the middle of its body, its chunks are malformed, or nothing came for too long. */
export class ClientBodyError extends Error {
  override readonly name = 'ClientBodyError';

  get status(): 400 | 408 {
    return this.cause instanceof ReadTimeout ? 408 : 400;
  }
}

/** The client's body on its way upstream: streamed untouched unless a plugin must see it. */
export class IncomingBody {
  readonly #source: BodySource | null;
  readonly #length: number | null;
  readonly #patience: number;
  #state: UpstreamBody;
  #read: Uint8Array | null | undefined;

  /** `patience`: milliseconds to wait for each part of it. */
  constructor(request: IncomingRequest, patience: number) {
    this.#source = request.body;
    this.#patience = patience;
    const length = request.headers.get('content-length');
    this.#length = length === null || request.headers.has('transfer-encoding') ? null : Number(length);
    this.#state =
      request.body === null
        ? { kind: 'none' }
        : { kind: 'incoming', source: request.body, length: this.#length, patience };
  }

  /** What to send; it can be sent again when it is no stream. */
  get current(): UpstreamBody {
    return this.#state;
  }

  replace(bytes: Uint8Array): void {
    this.#read = bytes;
    this.#state = { kind: 'bytes', bytes };
  }

  /** The whole body, kept for the upstream; null when it is longer than `limit` (it is then sent on all the same). Throws `ClientBodyError`. */
  async read(limit: number): Promise<Uint8Array | null> {
    if (this.#read !== undefined) return this.#read !== null && this.#read.length <= limit ? this.#read : null;
    if (this.#source === null) return new Uint8Array();
    if (this.#length !== null && this.#length > limit) return null;
    const reader = this.#source.stream().getReader();
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const { value, done } = await withTimeout(reader.read(), this.#patience).catch((error: unknown) => {
        throw new ClientBodyError(messageOf(error), { cause: error });
      });
      if (done) break;
      chunks.push(value);
      size += value.length;
      if (size > limit) {
        this.#read = null;
        this.#resume(chunks, reader);
        return null;
      }
    }
    this.replace(joined(chunks, size));
    return this.#read ?? null;
  }

  /** Sends on a body that proved too long: what was read, then the rest as it comes. */
  #resume(chunks: readonly Uint8Array[], reader: ReadableStreamDefaultReader<Uint8Array>): void {
    const pending = [...chunks];
    const stream = new ReadableStream({
      type: 'bytes',
      async pull(controller: ReadableByteStreamController) {
        const next = pending.shift();
        if (next !== undefined) return controller.enqueue(next);
        const { value, done } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    });
    // Content-Length was absent, or it would not have been read.
    this.#state = { kind: 'incoming', source: streamSource(stream), length: null, patience: this.#patience };
  }
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
