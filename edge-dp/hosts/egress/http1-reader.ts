import { NotHttp, parseResponseHead, parseTrailers, type ResponseHead } from './http1-head.ts';

/** Who is told of a response as it comes in. */
export interface ResponseEvents {
  /** An interim one (RFC 9110 section 15.2), but for 100, which nobody here waits for. */
  onInterim(head: ResponseHead): void;
  /** Of final ones, and of a 101. */
  onHead(head: ResponseHead): void;
  onBody(part: Buffer): void;
  onEnd(trailers: readonly string[]): void;
}

/** Bytes of a response head; what workerd itself takes from an upstream. */
const MOST_HEAD = 128 << 10;
/** Bytes of the line before a chunk. */
const MOST_CHUNK_LINE = 4 << 10;
/** Responses before the final one. */
const MOST_INTERIM = 20;

type State = 'idle' | 'head' | 'length' | 'chunk size' | 'chunk' | 'chunk end' | 'trailers' | 'until close';

/** Reads the responses of one connection, one after the other, from bytes in parts of any size. */
export class ResponseReader {
  readonly #events: ResponseEvents;
  #state: State = 'idle';
  #method = '';
  #interim = 0;
  /** Bytes of the body, or of the chunk, that are to come. */
  #left = 0;
  /** The beginning of what cannot be read before there is more. */
  #kept: Buffer | null = null;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  /** A response comes next, to a request of that method. */
  expect(method: string): void {
    this.#method = method;
    this.#interim = 0;
    this.#state = 'head';
  }

  /** What it reads of now is for nobody. */
  stop(): void {
    this.#state = 'idle';
    this.#kept = null;
  }

  /** Keeps nothing of `part` itself. Gives the bytes behind the response, or behind the head of a 101. Throws `NotHttp`. */
  read(part: Buffer): Buffer | null {
    const bytes = this.#kept === null ? part : Buffer.concat([this.#kept, part]);
    this.#kept = null;
    let at = 0;
    while (at < bytes.length) {
      const next = this.#step(bytes, at);
      if (next < 0) {
        const rest = bytes.subarray(at);
        this.#kept = bytes === part ? Buffer.from(rest) : rest;
        return null;
      }
      at = next;
      if (this.#state === 'idle') break;
    }
    return at < bytes.length ? bytes.subarray(at) : null;
  }

  /** The connection has ended. True: and with it, as it should, the response. */
  close(): boolean {
    if (this.#state !== 'until close') return false;
    this.#end([]);
    return true;
  }

  /** Where reading goes on; -1: with more bytes. */
  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#head(bytes, at);
      case 'length':
      case 'chunk':
        return this.#body(bytes, at);
      case 'chunk size':
        return this.#chunkSize(bytes, at);
      case 'chunk end': {
        if (bytes[at] !== CR || (at + 1 < bytes.length && bytes[at + 1] !== LF))
          throw new NotHttp('a chunk that is longer than its size');
        if (at + 1 === bytes.length) return -1;
        this.#state = 'chunk size';
        return at + 2;
      }
      case 'trailers':
        return this.#trailers(bytes, at);
      case 'until close':
        this.#events.onBody(at === 0 ? bytes : bytes.subarray(at));
        return bytes.length;
      case 'idle':
        return at;
    }
  }

  #head(bytes: Buffer, at: number): number {
    const end = bytes.indexOf('\r\n\r\n', at, 'latin1');
    if (end < 0) {
      beginsLikeHead(bytes, at);
      return -1;
    }
    if (end - at > MOST_HEAD) throw new NotHttp('a head that is too large');
    const head = parseResponseHead(bytes.toString('latin1', at, end), this.#method);
    const { status, framing } = head;
    if (status < 200 && status !== 101) {
      this.#interim += 1;
      if (this.#interim > MOST_INTERIM) throw new NotHttp('too many interim responses');
      if (status > 101) this.#events.onInterim(head);
      return end + 4;
    }
    if (framing === 'chunked') this.#state = 'chunk size';
    else if (framing === 'until close') this.#state = 'until close';
    else {
      this.#left = framing;
      this.#state = framing === 0 ? 'idle' : 'length';
    }
    const empty = framing === 0;
    this.#events.onHead(head);
    if (empty && status !== 101) this.#events.onEnd(NO_TRAILERS);
    return end + 4;
  }

  #body(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#left);
    this.#left -= end - at;
    const last = this.#left === 0;
    const chunked = this.#state === 'chunk';
    if (last && chunked) this.#state = 'chunk end';
    this.#events.onBody(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    if (last && this.#state === 'length') this.#end(NO_TRAILERS);
    return end;
  }

  #chunkSize(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(LF, at);
    if (end < 0 ? bytes.length - at > MOST_CHUNK_LINE : end - at > MOST_CHUNK_LINE)
      throw new NotHttp('a chunk size that is too long');
    if (end < 0) return -1;
    const size = CHUNK_SIZE.exec(bytes.toString('latin1', at, end))?.[1];
    if (size === undefined) throw new NotHttp('a malformed chunk size');
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk';
    return end + 1;
  }

  #trailers(bytes: Buffer, at: number): number {
    if (bytes[at] === CR && bytes[at + 1] === LF) {
      this.#end(NO_TRAILERS);
      return at + 2;
    }
    const end = bytes.indexOf('\r\n\r\n', at, 'latin1');
    if (end < 0 ? bytes.length - at > MOST_HEAD : end - at > MOST_HEAD)
      throw new NotHttp('trailers that are too large');
    if (end < 0) return -1;
    this.#end(parseTrailers(bytes.toString('latin1', at, end)));
    return end + 4;
  }

  #end(trailers: readonly string[]): void {
    this.#state = 'idle';
    this.#events.onEnd(trailers);
  }
}

const CR = 0x0d;
const LF = 0x0a;
const NO_TRAILERS: readonly string[] = [];
/** Blanks behind it are known to occur; a size is read in one way all the same. */
const CHUNK_SIZE = /^([\da-f]{1,12})[\t ]*(?:;[^\r\n]*)?\r$/i;
const BEGINNING = 'HTTP/1.';

/** What can be no head is told at once: its sender may wait for us as we do for it. */
function beginsLikeHead(bytes: Buffer, at: number): void {
  if (bytes.length - at > MOST_HEAD) throw new NotHttp('a head that is too large');
  const begun = bytes.toString('latin1', at, at + BEGINNING.length);
  if (!BEGINNING.startsWith(begun)) throw new NotHttp('no status line of HTTP/1');
  for (let lf = bytes.indexOf(LF, at); lf >= 0; lf = bytes.indexOf(LF, lf + 1))
    if (bytes[lf - 1] !== CR) throw new NotHttp('a line that ends in LF alone');
}
