/**
 * Writes the wire format of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/), all of it into one run of bytes: a
 * batch has thousands of messages within messages, and bytes of their own for each would cost more than what is written.
 */
export class ProtobufWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  text(field: number, value: string): void {
    const { length } = value;
    this.#begin(field, length);
    const start = this.#length;
    for (let at = 0; at < length; at++) {
      const code = value.charCodeAt(at);
      if (code > 0x7f) {
        this.#length = start;
        this.#replaceLast(length, utf8.encode(value));
        return;
      }
      this.#bytes[start + at] = code;
    }
    this.#length = start + length;
  }

  raw(field: number, value: Uint8Array): void {
    this.#begin(field, value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Bytes given as hexadecimal digits. */
  hex(field: number, digits: string): void {
    const size = digits.length / 2;
    this.#begin(field, size);
    for (let at = 0; at < size; at++) {
      this.#bytes[this.#length++] = (digitOf(digits, at * 2) << 4) | digitOf(digits, at * 2 + 1);
    }
  }

  message(field: number, write: (nested: ProtobufWriter) => void): void {
    // Mostly one byte says how long it is, which is known behind it.
    this.#begin(field, 0);
    const start = this.#length;
    write(this);
    const size = this.#length - start;
    const more = varintSize(size) - 1;
    if (more > 0) {
      this.#room(more);
      this.#bytes.copyWithin(start + more, start, this.#length);
    }
    this.#length = start - 1;
    this.#varint(size);
    this.#length += size;
  }

  /** A whole number from 0 to 2^53 - 1. Throws a `RangeError` for what is beyond: some would be written without an end. */
  number(field: number, value: number): void {
    if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) throw new RangeError(`${value} is no number of a message`);
    this.#room(MOST_OF_TWO);
    this.#varint(field << 3);
    this.#varint(value);
  }

  double(field: number, value: number): void {
    this.#place(field, 1, 8, (view, at) => view.setFloat64(at, value, true));
  }

  fixed32(field: number, value: number): void {
    this.#place(field, 5, 4, (view, at) => view.setUint32(at, value, true));
  }

  fixed64(field: number, value: bigint): void {
    this.#place(field, 1, 8, (view, at) => view.setBigUint64(at, value, true));
  }

  /** A field of that many bytes, which have room behind it. */
  #begin(field: number, size: number): void {
    this.#room(MOST_OF_TWO + size);
    this.#varint((field << 3) | 2);
    this.#varint(size);
  }

  /** Other bytes for a field that was begun with another size. */
  #replaceLast(begun: number, value: Uint8Array): void {
    this.#length -= varintSize(begun);
    this.#room(MOST_OF_TWO + value.length);
    this.#varint(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  #place(field: number, type: number, size: number, write: (view: DataView, at: number) => void): void {
    this.#room(MOST_OF_TWO + size);
    this.#varint((field << 3) | type);
    write(this.#view, this.#length);
    this.#length += size;
  }

  /** There is room for it. */
  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  #room(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + size));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Bytes of two numbers at most: those of a field, and of what follows. */
const MOST_OF_TWO = 20;

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

function digitOf(digits: string, at: number): number {
  const code = digits.charCodeAt(at);
  return code < 0x3a ? code - 0x30 : (code | 0x20) - 0x57;
}

const utf8 = new TextEncoder();
