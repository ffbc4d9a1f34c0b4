import { FieldList, type HeaderFields, isBlank, lineLength, listed, splitLines } from '../fields.ts';
import type { BodySource, IncomingBodySource, IncomingRequest } from '../messages.ts';

/** What a native request does not tell of where it came from. */
interface RequestOrigin {
  /** Of HTTP, as the host says. */
  readonly version: string;
  /** Whether clients are connected to this very runtime, and not to a network in front of it (Cloudflare's). */
  readonly ownConnections: boolean;
}

/** A native request. */
export class FetchRequest implements IncomingRequest {
  readonly native: Request;
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderFields;
  readonly fieldNames: readonly string[];
  readonly fieldBytes: number;
  readonly body: FetchBody | null;
  readonly version: string;
  readonly ownConnections: boolean;
  /**
   * The client's connection is to end with the answer: the client says so (RFC 9112 section 9.6), or sent its body in chunks, of which
   * the runtime lets pass what a strict parser refuses (trailers, bare CR, chunks that do not end with their size), so that what
   * follows may be no request of this client.
   */
  readonly isLast: boolean;
  #listeners: (() => void)[] = NONE;
  #left: (() => void) | null = null;

  constructor(native: Request, { version, ownConnections }: RequestOrigin) {
    const names: string[] = [];
    let bytes = 0;
    let padded = false;
    let last = false;
    // Going through the fields is what costs, however few there are: once, with all there is to know.
    native.headers.forEach((value, name) => {
      names.push(name);
      bytes += lineLength(name, value);
      if (isBlank(value.charCodeAt(value.length - 1))) padded = true;
      if (name === 'transfer-encoding' || (name === 'connection' && listed(value, 'close'))) last = true;
    });
    this.native = padded ? withoutPadding(native) : native;
    this.method = native.method;
    this.target = targetOf(native.url);
    this.headers = this.native.headers;
    this.fieldNames = names;
    this.fieldBytes = bytes;
    this.body = native.body === null ? null : new FetchBody(this.native);
    this.version = version;
    this.ownConnections = ownConnections;
    this.isLast = ownConnections && last;
  }

  get clientLeft(): boolean {
    return this.native.signal.aborted;
  }

  onClientLeft(listener: () => void): void {
    if (this.#left !== null) {
      this.#listeners.push(listener);
      return;
    }
    this.#listeners = [listener];
    this.#left = () => {
      for (const left of this.#listeners) left();
    };
    this.native.signal.addEventListener('abort', this.#left);
  }

  /**
   * It has been answered: nobody is told any more that its client left. Listeners are held by the native signal, and all they know of
   * the request with them, in a circle that no collection of the young generation sees through.
   */
  settle(): void {
    if (this.#left === null) return;
    this.native.signal.removeEventListener('abort', this.#left);
    this.#left = null;
    this.#listeners = NONE;
  }

  copyOf(headers: HeaderFields): HeaderFields {
    return new Headers(nativeHeaders(headers));
  }
}

const NONE: (() => void)[] = [];

/** The runtime leaves blanks at the end of values; several lines of a field that had some become one. */
function withoutPadding(request: Request): Request {
  const headers = new Headers(request.headers);
  request.headers.forEach((value, name) => {
    const text = splitLines(value).join(', ');
    if (text !== value) headers.set(name, text);
  });
  return new Request(request, { headers });
}

/** The body of a native request. With GET and HEAD the runtime takes one only from such a request. */
export class FetchBody implements IncomingBodySource {
  readonly carrier: Request;
  #rest: ReadableStream<Uint8Array> | null = null;

  constructor(carrier: Request) {
    this.carrier = carrier;
  }

  /** Nobody has read a part of it and put that back. */
  get isUntouched(): boolean {
    return this.#rest === null;
  }

  putBack(rest: ReadableStream<Uint8Array>): void {
    this.#rest = rest;
  }

  stream(): ReadableStream<Uint8Array> {
    if (this.#rest !== null) return this.#rest;
    const { body } = this.carrier;
    if (body === null) throw new TypeError('this request has no body');
    return body;
  }
}

/** A native request with the body, to copy one with GET or HEAD from. Null: it is no native request's, which such a request cannot have. */
export function carrierOf(body: BodySource): Request | null {
  return body instanceof FetchBody && body.isUntouched ? body.carrier : null;
}

/** Native headers: the very same where they are native already. */
export function nativeHeaders(fields: HeaderFields): Headers {
  if (fields instanceof Headers) return fields;
  const native = new Headers();
  if (!(fields instanceof FieldList)) {
    for (const [name, value] of fields) native.append(name, value);
    return native;
  }
  const { lines } = fields;
  for (let at = 0; at < lines.length; at += 2) native.append(lines[at] ?? '', lines[at + 1] ?? '');
  return native;
}

/** Path and query of an absolute URL, byte for byte; workerd keeps them as received but for dot segments. */
function targetOf(url: string): string {
  const path = url.indexOf('/', url.indexOf('://') + 3);
  if (path >= 0) return url.slice(path);
  const question = url.indexOf('?');
  return question < 0 ? '/' : `/${url.slice(question)}`;
}
