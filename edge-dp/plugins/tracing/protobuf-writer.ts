/** Writes the wire format of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/). */
export class ProtobufWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  text(field: number, value: string): void {
    this.raw(field, utf8.encode(value));
  }

  raw(field: number, value: Uint8Array): void {
    this.#varint((field << 3) | 2);
    this.#varint(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  message(field: number, write: (nested: ProtobufWriter) => void): void {
    const nested = new ProtobufWriter();
    write(nested);
    this.raw(field, nested.bytes);
  }

  /** A whole number from 0 to 2^53. */
  number(field: number, value: number): void {
    this.#varint(field << 3);
    this.#varint(value);
  }

  double(field: number, value: number): void {
    this.#varint((field << 3) | 1);
    this.#view(8, (view) => view.setFloat64(0, value, true));
  }

  fixed32(field: number, value: number): void {
    this.#varint((field << 3) | 5);
    this.#view(4, (view) => view.setUint32(0, value, true));
  }

  fixed64(field: number, value: bigint): void {
    this.#varint((field << 3) | 1);
    this.#view(8, (view) => view.setBigUint64(0, value, true));
  }

  #varint(value: number): void {
    this.#room(10);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  #view(size: number, write: (view: DataView) => void): void {
    this.#room(size);
    write(new DataView(this.#bytes.buffer, this.#length, size));
    this.#length += size;
  }

  #room(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + size));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

const utf8 = new TextEncoder();
