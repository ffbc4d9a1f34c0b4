import { concatBytes } from '../../../shared/bytes.ts';

/** The wire format of Protocol Buffers. */

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

/** Fields written one behind the other. */
export class WireWriter {
  readonly #parts: Uint8Array[] = [];

  tag(field: number, type: number): void {
    this.varint(BigInt(field * 8 + type));
  }

  /** Negative numbers are written as 64 bits. */
  varint(value: bigint): void {
    const bytes: number[] = [];
    let left = BigInt.asUintN(64, value);
    for (; left > 0x7fn; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
    bytes.push(Number(left));
    this.#parts.push(new Uint8Array(bytes));
  }

  fixed(size: 4 | 8, set: (view: DataView) => void): void {
    const bytes = new Uint8Array(size);
    set(new DataView(bytes.buffer));
    this.#parts.push(bytes);
  }

  bytes(bytes: Uint8Array): void {
    this.varint(BigInt(bytes.length));
    this.#parts.push(bytes);
  }

  get written(): Uint8Array {
    return concatBytes(this.#parts);
  }
}

/** Reads them again. Throws for what is cut off or no such format. */
export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length;
  }

  tag(): { readonly field: number; readonly type: number } {
    const tag = Number(this.varint());
    return { field: Math.floor(tag / 8), type: tag & 7 };
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new Error('a message of Protocol Buffers is cut off');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Error('a number of Protocol Buffers is longer than 64 bits');
  }

  fixed<T>(size: 4 | 8, get: (view: DataView, at: number) => T): T {
    const at = this.#take(size);
    return get(this.#view, at);
  }

  bytes(): Uint8Array {
    const length = Number(this.varint());
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  skip(type: number): void {
    if (type === VARINT) this.varint();
    else if (type === FIXED64) this.#take(8);
    else if (type === FIXED32) this.#take(4);
    else if (type === BYTES) this.bytes();
    else throw new Error(`wire type ${type} of Protocol Buffers is not known`);
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) throw new Error('a message of Protocol Buffers is cut off');
    this.#at += length;
    return at;
  }
}
