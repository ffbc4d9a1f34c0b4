import { messageOf } from '../../shared/thrown.ts';
import { type BodyArguments, parseBodyArguments } from '../http/arguments/body-arguments.ts';
import type { HeaderFields } from '../http/fields.ts';
import type { IncomingBodySource, IncomingRequest } from '../http/messages.ts';
import { readBody } from '../http/read-body.ts';
import { ReadTimeout, withTimeout } from '../http/read-timeout.ts';
import type { RequestBody } from '../plugins/runtime/request.ts';
import { type BodyLimit, BodyTooLarge, type UpstreamBody } from './egress/egress.ts';
import { defaultMessage } from './errors.ts';

/** The client went away in the middle of its body, its chunks are malformed, nothing came for too long, or too much. */
export class ClientBodyError extends Error {
  override readonly name = 'ClientBodyError';

  get status(): 400 | 408 | BodyLimit['status'] {
    if (this.cause instanceof BodyTooLarge) return this.cause.status;
    return this.cause instanceof ReadTimeout ? 408 : 400;
  }
}

/** The client's body on its way upstream: streamed untouched unless a plugin must see it. */
export class IncomingBody implements RequestBody {
  readonly #source: IncomingBodySource | null;
  readonly #headers: HeaderFields;
  readonly #length: number | null;
  readonly #patience: number;
  readonly #maxSize: number;
  #state: UpstreamBody;
  #read: Uint8Array | null | undefined;
  /** It is longer than this many bytes, of a body that was read so far and no further. */
  #longerThan = -1;
  #arguments: { readonly type: string | null; readonly of: Promise<BodyArguments | null> } | null = null;

  /**
   * `headers`: those that go upstream, which tell of the body. `patience`: milliseconds to wait for each part of it. `maxSize`: bytes
   * it may have; 0: as many as come.
   */
  constructor(request: IncomingRequest, headers: HeaderFields, patience: number, maxSize: number) {
    this.#source = request.body;
    this.#headers = headers;
    this.#patience = patience;
    this.#maxSize = maxSize;
    const length = request.headers.get('content-length');
    this.#length = length === null || request.headers.has('transfer-encoding') ? null : Number(length);
    this.#state =
      request.body === null
        ? { kind: 'none' }
        : { kind: 'incoming', source: request.body, length: this.#length, patience, limit: null };
    if (maxSize > 0 && this.#length === null) this.limit(maxSize, defaultMessage(413));
  }

  /** It says itself that it is longer than it may be. */
  get tooLarge(): boolean {
    return this.#maxSize > 0 && (this.#length ?? 0) > this.#maxSize;
  }

  /** What to send; it can be sent again when it is no stream. */
  get current(): UpstreamBody {
    return this.#state;
  }

  get length(): number | null {
    const state = this.#state;
    if (state.kind === 'none') return 0;
    return state.kind === 'bytes' ? state.bytes.length : state.length;
  }

  /** Bytes that came from the client, where they were wanted: read here, or by whom they were sent to. Null: not known. */
  received(sent: boolean): number | null {
    if (this.#source === null || (!sent && this.#read === undefined)) return 0;
    return this.#length ?? this.length;
  }

  replace(body: Uint8Array | string, contentType?: string): void {
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    this.#keep(bytes);
    this.#headers.delete('transfer-encoding');
    this.#headers.set('content-length', String(bytes.length));
    if (contentType !== undefined) this.#headers.set('content-type', contentType);
  }

  /** Throws `ClientBodyError`. */
  async read(limit: number): Promise<Uint8Array | null> {
    if (this.#read) return this.#read.length <= limit ? this.#read : null;
    if (limit <= this.#longerThan) return null;
    if (this.#source === null) return new Uint8Array();
    if (this.#length !== null && this.#length > limit) return null;
    const waiting = <T>(part: Promise<T>): Promise<T> =>
      withTimeout(part, this.#patience).catch((error: unknown) => {
        throw new ClientBodyError(messageOf(error), { cause: error });
      });
    const most = this.limited;
    const within = Math.min(limit, most?.bytes ?? limit);
    const { bytes, rest } = await readBody(this.#source.stream(), within, waiting);
    if (rest === null) {
      this.#keep(bytes);
      return bytes;
    }
    this.#read = null;
    this.#longerThan = within;
    this.#source.putBack(rest);
    if (most !== null && most.bytes === within) {
      const cause = new BodyTooLarge(most);
      throw new ClientBodyError(cause.message, { cause });
    }
    // Content-Length was absent, or it would not have been read.
    this.#state = { kind: 'incoming', source: this.#source, length: null, patience: this.#patience, limit: most };
    return null;
  }

  arguments(limit: number): Promise<BodyArguments | null> {
    const type = this.#headers.get('content-type');
    if (this.#arguments === null || this.#arguments.type !== type)
      this.#arguments = {
        type,
        of: this.read(limit).then((bytes) => (bytes === null ? null : parseBodyArguments(type, bytes))),
      };
    return this.#arguments.of;
  }

  limit(bytes: number, message: string, status: BodyLimit['status'] = 413): void {
    const state = this.#state;
    if (state.kind !== 'incoming' || (state.limit !== null && state.limit.bytes <= bytes)) return;
    this.#state = { ...state, limit: { bytes, message, status } };
  }

  /** How much of the client's body may pass; null: there is no limit, or the body is no longer the client's. */
  get limited(): BodyLimit | null {
    return this.#state.kind === 'incoming' ? this.#state.limit : null;
  }

  #keep(bytes: Uint8Array): void {
    this.#read = bytes;
    this.#arguments = null;
    this.#state = { kind: 'bytes', bytes };
  }
}
