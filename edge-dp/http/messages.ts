import { FieldList, type HeaderFields } from './fields.ts';

/**
 * HTTP messages as the router, the balancer, the proxy and plugins know them. A host gives and takes them over what it has:
 * `fetch/` over the Fetch API, where a native message stays what it is unless somebody changes it.
 */

/** A request as a client sent it. */
export interface IncomingRequest {
  readonly method: string;
  /** Path and query of the request target, byte for byte as far as the host tells. */
  readonly target: string;
  /** As received, without blanks at the end of values. Not to be changed; a `copyOf` them may be. */
  readonly headers: HeaderFields;
  /** Names of the header fields, in lower case. */
  readonly fieldNames: readonly string[];
  /** Bytes of the header fields as HTTP/1.1 writes them, as far as the host tells lines apart. */
  readonly fieldBytes: number;
  /** Null: none was announced. */
  readonly body: IncomingBodySource | null;
  /** Of HTTP, as the client spoke it: `1.0`, `1.1`, `2`, `3`. */
  readonly version: string;
  /** The client is gone, as far as the host notices: what goes on for it is for nobody. */
  readonly clientLeft: boolean;
  /** Calls when the client leaves before all of the answer was sent. Asked for only where needed. */
  onClientLeft(listener: () => void): void;
  /** Tells the client of an interim answer (RFC 9110 section 15.2), of names and values in turn. Absent: the host has no means to. */
  inform?(status: number, lines: readonly string[]): void;
  /** A copy that may be changed, of these or of other headers of this host. */
  copyOf(headers: HeaderFields): HeaderFields;
}

/**
 * A body that comes in from a connection, or is still being made. Opaque: it becomes a web stream where somebody reads it, and a
 * host that both receives and sends it does so without.
 */
export interface BodySource {
  /** The bytes as they came, in whatever content coding. For one reader; the same stream each time. */
  stream(): ReadableStream<Uint8Array>;
}

/** The body of a request. */
export interface IncomingBodySource extends BodySource {
  /** A part of it was read: from now on `rest` is what there is to read, from the first byte on. */
  putBack(rest: ReadableStream<Uint8Array>): void;
}

/** What a response carries. */
export type Content = null | string | Uint8Array | BodySource;

/** A response on its way to the client: of an upstream, or the gateway's own. */
export interface HttpResponse {
  /** Assign to change it. */
  status: number;
  readonly headers: HeaderFields;
  /** Assign to replace it; what is replaced is let go of. Its bytes are as Content-Encoding says: that, and Content-Length, are the assigner's to mend. */
  content: Content;
  /** Calls once the last byte was handed on, or when nobody takes any more. Asked for only where needed: following a body costs. */
  onEnd(listener: EndListener): void;
  /** The response will not be sent: lets go of its body. */
  discard(): void;
}

/** How the sending of a response ended. */
export interface ResponseEnd {
  /** The client, or the upstream in the middle of its body, was gone before the last byte. */
  readonly aborted: boolean;
  /** It was the client. */
  readonly clientLeft: boolean;
  /** Bytes of its body that were handed on. Absent: the host does not count them, or all of them were in memory. */
  readonly sent?: number;
}

export type EndListener = (end: ResponseEnd) => void;

/** A response the gateway made itself. */
export class OwnResponse implements HttpResponse {
  status: number;
  readonly headers: FieldList;
  content: Content;
  /** The connection is to end with it at once: where the request ends is in doubt, or its end does not come. */
  closing = false;
  readonly #listeners: EndListener[] = [];

  /** Throws a `TypeError` for headers that no message may carry. A text without a Content-Type is plain text. */
  constructor(status: number, content: Content, headers: Readonly<Record<string, string>> | FieldList = {}) {
    this.status = status;
    this.content = content;
    this.headers = headers instanceof FieldList ? headers : FieldList.of(headers);
    if (typeof content === 'string' && !this.headers.has('content-type'))
      this.headers.append('Content-Type', 'text/plain;charset=UTF-8');
  }

  get listeners(): readonly EndListener[] {
    return this.#listeners;
  }

  onEnd(listener: EndListener): void {
    this.#listeners.push(listener);
  }

  discard(): void {
    letGo(this.content);
  }
}

/** JSON as the gateway's answer. */
export function jsonResponse(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): OwnResponse {
  const list = FieldList.of(headers);
  if (!list.has('Content-Type')) list.set('Content-Type', 'application/json');
  return new OwnResponse(status, JSON.stringify(value), list);
}

/** A body out of a web stream: of one that was read and changed, or made. */
export function streamSource(stream: ReadableStream<Uint8Array>): BodySource {
  return { stream: () => stream };
}

/** Cancels content nobody will read. */
export function letGo(content: Content): void {
  if (content === null || typeof content === 'string' || content instanceof Uint8Array) return;
  const stream = content.stream();
  if (!stream.locked) void stream.cancel().catch(() => undefined);
}
