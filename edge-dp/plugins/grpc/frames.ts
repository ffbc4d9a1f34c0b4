import { concatBytes } from '../../../shared/bytes.ts';

/** Length-prefixed messages of gRPC (and trailers of gRPC-Web): a byte of flags, four of length, big endian, and the content. */

/** A frame of trailers in gRPC-Web. */
export const TRAILERS = 0x80;
const HEAD = 5;

export function frame(flags: number, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD + content.length);
  bytes[0] = flags;
  new DataView(bytes.buffer).setUint32(1, content.length);
  bytes.set(content, HEAD);
  return bytes;
}

export interface Frame {
  readonly flags: number;
  readonly content: Uint8Array;
}

/** Frames out of a stream of bytes, each as soon as it is complete. Bytes are copied once, however small they come. */
export class FrameReader {
  #parts: Uint8Array[] = [];
  #size = 0;
  /** Bytes that must be there to go on. */
  #needed = HEAD;

  /** Adds bytes; gives the frames that are complete with them. Throws for one that is too long to be kept. */
  *read(bytes: Uint8Array): Generator<Frame, void> {
    this.#parts.push(bytes);
    this.#size += bytes.length;
    while (this.#size >= this.#needed) {
      const whole = this.rest;
      const length = new DataView(whole.buffer, whole.byteOffset).getUint32(1);
      if (length > LONGEST) throw new Error(`a message of gRPC is ${length} bytes long, more than ${LONGEST}`);
      this.#keep(whole, HEAD + length);
      if (whole.length < HEAD + length) return;
      yield { flags: whole[0] ?? 0, content: whole.subarray(HEAD, HEAD + length) };
      this.#keep(whole.subarray(HEAD + length), HEAD);
    }
  }

  /** What has come of a frame that is not complete. */
  get rest(): Uint8Array {
    const [first] = this.#parts;
    return this.#parts.length === 1 && first !== undefined ? first : concatBytes(this.#parts);
  }

  #keep(bytes: Uint8Array, needed: number): void {
    this.#parts = [bytes];
    this.#size = bytes.length;
    this.#needed = needed;
  }
}

/** Of a message that is kept whole. */
const LONGEST = 16 * 1024 * 1024;

/** Passes frames on as they stream but for the trailers of gRPC-Web, which it keeps. */
export class TrailerSplitter {
  /** The content of the trailers; null: none came. */
  trailers: Uint8Array | null = null;
  readonly #head = new Uint8Array(HEAD);
  #headFilled = 0;
  /** Bytes that are left of the frame that is coming. */
  #left = 0;
  readonly #kept: Uint8Array[] = [];

  /** What of these bytes is to be passed on. */
  *pass(bytes: Uint8Array): Generator<Uint8Array, void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left === 0 && this.#headFilled < HEAD) {
        this.#head[this.#headFilled++] = bytes[at++] ?? 0;
        if (this.#headFilled < HEAD) continue;
        this.#left = new DataView(this.#head.buffer).getUint32(1);
        if (!this.#isTrailers) yield this.#head.slice();
      } else {
        const part = bytes.subarray(at, at + this.#left);
        at += part.length;
        this.#left -= part.length;
        if (this.#isTrailers) this.#kept.push(part.slice());
        else yield part;
      }
      if (this.#left > 0) continue;
      if (this.#isTrailers) this.trailers = concatBytes(this.#kept);
      this.#headFilled = 0;
    }
  }

  get #isTrailers(): boolean {
    return (this.#head[0] ?? 0) >= TRAILERS;
  }
}
