import type { HeaderFields } from '../fields.ts';
import { type BodySource, type Content, type EndListener, type HttpResponse, letGo } from '../messages.ts';

/** For fetch itself (a Request does not carry all of it): the answer as it came, no redirect followed, no content coding undone. */
export const AS_IT_IS = { redirect: 'manual', encodeResponseBody: 'manual' } as const;

interface Fetched {
  /** The body came out of a stream that JavaScript made, which the runtime cannot pipe by itself. */
  readonly made?: boolean;
  /** Of a WebSocket: resolves with its end. Where there is none, nobody can tell. */
  readonly over?: () => Promise<unknown>;
}

/** A native response, fetched as it is. It is copied once, with the first look at its headers: those of a fetch cannot be changed. */
export class FetchResponse implements HttpResponse, BodySource {
  status: number;
  readonly #native: Response;
  readonly over: (() => Promise<unknown>) | null;
  readonly #made: boolean;
  readonly #listeners: EndListener[] = [];
  #copy: Response | null = null;
  /** Undefined: the response's own. */
  #content: Content | undefined;

  constructor(native: Response, { made = false, over }: Fetched = {}) {
    this.#native = native;
    this.status = native.status;
    this.#made = made;
    this.over = over ?? null;
  }

  get headers(): HeaderFields {
    return this.#changeable.headers;
  }

  get content(): Content {
    if (this.#content !== undefined) return this.#content;
    return this.#changeable.body === null ? null : this;
  }

  set content(content: Content) {
    // What reads the old body to make the new one of it has locked it.
    if (this.#content === undefined) letGo(this.content);
    this.#content = content;
  }

  /** The response's own body. */
  stream(): ReadableStream<Uint8Array> {
    const { body } = this.#changeable;
    if (body === null) throw new TypeError('this response has no body');
    return body;
  }

  /** Its body is in memory. */
  get held(): boolean {
    return typeof this.#content === 'string' || this.#content instanceof Uint8Array;
  }

  /** Its body comes out of a stream that JavaScript made, which the runtime cannot pipe by itself. */
  get made(): boolean {
    return this.#made || this.#content !== undefined;
  }

  get listeners(): readonly EndListener[] {
    return this.#listeners;
  }

  onEnd(listener: EndListener): void {
    this.#listeners.push(listener);
  }

  discard(): void {
    void this.#native.body?.cancel().catch(() => undefined);
    for (const ended of this.#listeners.splice(0)) ended({ aborted: true, clientLeft: false });
  }

  /** With all changes. */
  get native(): Response {
    const copy = this.#changeable;
    const { status } = this;
    const content = this.#content;
    const { headers } = copy;
    // A coding that a plugin names has been done by whoever made the body.
    const named = encoding(headers) === 'manual' && encoding(this.#native.headers) === 'automatic';
    if (content === undefined && status === copy.status && !named) return copy;
    return new Response(nativeContent(status, this.content), {
      status,
      headers,
      encodeBody: encoding(headers),
    });
  }

  get #changeable(): Response {
    this.#copy ??= changeable(this.#native);
    return this.#copy;
  }
}

/** Content as a native response of that status takes it. */
export function nativeContent(status: number, content: Content): string | Uint8Array | ReadableStream | null {
  if (BODYLESS.has(status)) return null;
  if (content === null || typeof content === 'string' || content instanceof Uint8Array) return content;
  return content.stream();
}

/** The bytes are encoded as Content-Encoding says; the runtime would do it again. */
export function encoding(headers: HeaderFields): 'automatic' | 'manual' {
  return headers.has('content-encoding') ? 'manual' : 'automatic';
}

function changeable(native: Response): Response {
  const { status } = native;
  const encodeBody = encoding(native.headers);
  const statusText = writablePhrase(native.statusText);
  // A response copied as a whole costs half of one put together anew.
  if (encodeBody === 'automatic' && !BODYLESS.has(status) && statusText === native.statusText)
    return new Response(native.body, native);
  const { headers, webSocket } = native;
  if (status === 101) return new Response(null, { status, webSocket, headers });
  return new Response(BODYLESS.has(status) ? null : native.body, { status, statusText, headers, encodeBody });
}

/** A reason phrase as the runtime, which reads control characters in one but makes no response with them, will write it: whole or not at all. */
export function writablePhrase(phrase: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for.
  return /[\0-\x1f]/.test(phrase) ? '' : phrase;
}

/** Statuses a Response with a body may not have. */
const BODYLESS = new Set([101, 204, 205, 304]);
