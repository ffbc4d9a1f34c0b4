/** What a client says before TLS begins (RFC 8446 section 4.1.2), as far as anything is chosen by it. */
export interface ClientHello {
  /** In lower case; null: it names none, or what can be none. */
  readonly serverName: string | null;
  /** Of the protocol, as numbers: 0x0304 is TLS 1.3. */
  readonly versions: readonly number[];
  readonly cipherSuites: readonly number[];
  readonly signatureSchemes: readonly number[];
  /** Curves and other groups (`supported_groups`). */
  readonly groups: readonly number[];
  readonly applicationProtocols: readonly string[];
}

/** The bytes so far: a whole hello, the start of one that has so many bytes at least, or something else. */
export type HelloReading =
  | { readonly kind: 'hello'; readonly hello: ClientHello }
  | { readonly kind: 'incomplete'; readonly needed: number }
  | { readonly kind: 'other' };

/** Bytes of the longest hello that is read, its records included: nginx's `preread_buffer_size`. Real ones have 2 KB. */
export const MOST_HELLO = 16 << 10;
const RECORD_HEAD = 5;
const OTHER: HelloReading = { kind: 'other' };

/** Reads the ClientHello at the beginning of a connection, be it in several records. */
export function readClientHello(bytes: Buffer): HelloReading {
  const parts: Buffer[] = [];
  let size = 0;
  let needed = 4;
  for (let at = 0; size < needed; ) {
    // Type 22 is a handshake; the version is 3.x for all of TLS.
    if ((bytes[at] ?? 22) !== 22 || (bytes[at + 1] ?? 3) !== 3) return OTHER;
    if (bytes.length < at + RECORD_HEAD) return { kind: 'incomplete', needed: at + RECORD_HEAD };
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > 1 << 14) return OTHER;
    const end = at + RECORD_HEAD + length;
    if (end > MOST_HELLO) return OTHER;
    if (bytes.length < end) return { kind: 'incomplete', needed: end };
    parts.push(bytes.subarray(at + RECORD_HEAD, end));
    size += length;
    at = end;
    if (parts[0]?.[0] !== 1) return OTHER;
    // Once: a client may cut it up into very many records.
    if (needed === 4 && size >= 4) needed = 4 + Buffer.concat(parts).readUIntBE(1, 3);
  }
  const message = Buffer.concat(parts).subarray(4, needed);
  try {
    return { kind: 'hello', hello: parsed(new Fields(message)) };
  } catch {
    return OTHER;
  }
}

function parsed(fields: Fields): ClientHello {
  const legacyVersion = fields.number(2);
  fields.skip(32);
  fields.list(1);
  const cipherSuites = fields.list(2).numbers(2);
  fields.list(1);
  let serverName: string | null = null;
  let versions: readonly number[] = [legacyVersion];
  let signatureSchemes: readonly number[] = [];
  let groups: readonly number[] = [];
  let applicationProtocols: readonly string[] = [];
  const extensions = fields.done ? fields : fields.list(2);
  while (!extensions.done) {
    const type = extensions.number(2);
    const extension = extensions.list(2);
    if (type === 0) serverName = serverNameOf(extension);
    else if (type === 10) groups = extension.list(2).numbers(2);
    else if (type === 13) signatureSchemes = extension.list(2).numbers(2);
    else if (type === 16) applicationProtocols = protocolsOf(extension.list(2));
    else if (type === 43) versions = extension.list(1).numbers(2);
  }
  return { serverName, versions, cipherSuites, signatureSchemes, groups, applicationProtocols };
}

/** RFC 6066 section 3. */
function serverNameOf(extension: Fields): string | null {
  if (extension.done) return null;
  const names = extension.list(2);
  while (!names.done) {
    const type = names.number(1);
    const name = names.list(2).text();
    if (type === 0) return /^[\w.-]{1,255}$/.test(name) ? name.toLowerCase().replace(/\.$/, '') : null;
  }
  return null;
}

/** RFC 7301 section 3.1. */
function protocolsOf(list: Fields): string[] {
  const names: string[] = [];
  while (!list.done) names.push(list.list(1).text());
  return names;
}

/** TLS' own notation of numbers and vectors (RFC 8446 section 3). Throws `RangeError` beyond the end. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  number(size: number): number {
    const value = this.#bytes.readUIntBE(this.#at, size);
    this.#at += size;
    return value;
  }

  skip(size: number): void {
    this.#at += size;
  }

  /** What follows its own length, which has so many bytes. */
  list(lengthSize: number): Fields {
    const length = this.number(lengthSize);
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('a list longer than its message');
    const list = new Fields(this.#bytes.subarray(this.#at, end));
    this.#at = end;
    return list;
  }

  numbers(size: number): number[] {
    const found: number[] = [];
    while (!this.done) found.push(this.number(size));
    return found;
  }

  text(): string {
    const text = this.#bytes.toString('latin1', this.#at);
    this.#at = this.#bytes.length;
    return text;
  }
}
