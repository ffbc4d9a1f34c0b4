/** What is read of a TLS ClientHello (RFC 8446 section 4.1.2) before anybody answers it. */
export type ClientHello =
  /** Not all of it is there. */
  | { readonly kind: 'partial' }
  | { readonly kind: 'hello'; readonly serverName: string | null }
  /** What is there begins no TLS that can be understood. */
  | { readonly kind: 'no_tls' };

/** Bytes of a ClientHello, records included: nginx's `preread_buffer_size`. Real ones have 2 KB at most. */
export const MOST_HELLO = 16 << 10;

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;

const PARTIAL: ClientHello = { kind: 'partial' };
const NO_TLS: ClientHello = { kind: 'no_tls' };

/** Reads the first bytes of a connection. A handshake may be spread over several records. */
export function readClientHello(bytes: Buffer): ClientHello {
  const parts: Buffer[] = [];
  let length = 0;
  for (let at = 0; ; ) {
    // Type, two bytes of version, two of length.
    if (bytes.length > at && bytes[at] !== HANDSHAKE_RECORD) return NO_TLS;
    if (bytes.length > at + 1 && bytes[at + 1] !== 3) return NO_TLS;
    if (bytes.length < at + 5) return PARTIAL;
    const size = bytes.readUInt16BE(at + 3);
    if (size === 0 || size > MOST_HELLO) return NO_TLS;
    const part = bytes.subarray(at + 5, at + 5 + size);
    parts.push(part);
    length += part.length;
    at += 5 + size;
    const handshake = parts.length === 1 ? part : Buffer.concat(parts);
    if (handshake.length > 0 && handshake[0] !== CLIENT_HELLO) return NO_TLS;
    if (length >= 4) {
      const wanted = handshake.readUIntBE(1, 3);
      if (wanted > MOST_HELLO) return NO_TLS;
      if (length >= 4 + wanted) return helloOf(handshake.subarray(4, 4 + wanted));
    }
    if (bytes.length <= at) return PARTIAL;
  }
}

function helloOf(body: Buffer): ClientHello {
  const read = new Reader(body);
  // Version and random; session id; cipher suites; compression methods.
  if (read.skip(34) && read.skip(read.length(1)) && read.skip(read.length(2)) && read.skip(read.length(1))) {
    // TLS 1.2 clients may have no extensions.
    if (read.ended) return { kind: 'hello', serverName: null };
    const extensions = read.part(2);
    if (extensions !== null) return { kind: 'hello', serverName: serverNameIn(extensions) };
  }
  return NO_TLS;
}

/** The name of RFC 6066 section 3; null: there is none that can be one. */
function serverNameIn(extensions: Reader): string | null {
  while (!extensions.ended) {
    const type = extensions.length(2);
    const content = extensions.part(2);
    if (content === null) return null;
    if (type !== SERVER_NAME) continue;
    const names = content.part(2);
    if (names === null || names.length(1) !== HOST_NAME) return null;
    const name = names.text(2);
    return name !== null && /^[\w.-]{1,255}$/.test(name) ? name.toLowerCase().replace(/\.$/, '') : null;
  }
  return null;
}

/** Reads from the front; what is not there is null, or -1. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** A number of one or two bytes. */
  length(size: 1 | 2): number {
    if (this.#at + size > this.#bytes.length) return -1;
    const value = this.#bytes.readUIntBE(this.#at, size);
    this.#at += size;
    return value;
  }

  skip(count: number): boolean {
    if (count < 0 || this.#at + count > this.#bytes.length) return false;
    this.#at += count;
    return true;
  }

  /** What follows its length. */
  part(size: 1 | 2): Reader | null {
    const bytes = this.#take(size);
    return bytes === null ? null : new Reader(bytes);
  }

  text(size: 1 | 2): string | null {
    return this.#take(size)?.toString('latin1') ?? null;
  }

  #take(size: 1 | 2): Buffer | null {
    const count = this.length(size);
    const from = this.#at;
    return this.skip(count) ? this.#bytes.subarray(from, from + count) : null;
  }
}
