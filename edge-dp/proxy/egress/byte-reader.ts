import { withTimeout } from '../../http/read-timeout.ts';

/** The connection ended where more was needed. */
export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed';
}

/** What came is not HTTP/1.1, or more than is taken. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** Reads lines and byte runs from a stream of chunks, with a time limit in milliseconds on each wait for more. */
export class ByteReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #timeout: number;
  #buffer: Uint8Array = new Uint8Array();

  constructor(stream: ReadableStream<Uint8Array>, timeout: number) {
    this.#reader = stream.getReader();
    this.#timeout = timeout;
  }

  /** The next line without its CRLF. A bare LF ends no line here: who reads otherwise can be told another message. */
  async line(limit: number): Promise<string> {
    for (let from = 0; ; ) {
      const end = this.#buffer.indexOf(LF, from);
      if (end > limit || (end < 0 && this.#buffer.length > limit)) throw new ProtocolError('line too long');
      if (end >= 0) {
        if (end === 0 || this.#buffer[end - 1] !== CR) throw new ProtocolError('line without CR');
        const text = UTF8.decode(this.#buffer.subarray(0, end - 1));
        this.#buffer = this.#buffer.subarray(end + 1);
        if (text.includes('\r') || text.includes('\0')) throw new ProtocolError('control character in a line');
        return text;
      }
      from = this.#buffer.length;
      if (!(await this.#more())) throw new ConnectionClosed('closed in the middle of a line');
    }
  }

  /** Between 1 and `limit` bytes as they come; null at the end of the stream. */
  async some(limit: number): Promise<Uint8Array | null> {
    if (this.#buffer.length === 0 && !(await this.#more())) return null;
    const part = this.#buffer.subarray(0, limit);
    this.#buffer = this.#buffer.subarray(part.length);
    return part;
  }

  cancel(reason?: unknown): void {
    void this.#reader.cancel(reason).catch(() => undefined);
  }

  async #more(): Promise<boolean> {
    const { value, done } = await withTimeout(this.#reader.read(), this.#timeout);
    if (done) return false;
    if (this.#buffer.length === 0) {
      this.#buffer = value;
    } else {
      const joined = new Uint8Array(this.#buffer.length + value.length);
      joined.set(this.#buffer);
      joined.set(value, this.#buffer.length);
      this.#buffer = joined;
    }
    return true;
  }
}

const LF = 10;
const CR = 13;
const UTF8 = new TextDecoder();
