import type { HeaderFields } from '../../http/fields.ts';
import { type BodySource, type Content, type HttpResponse, streamSource } from '../../http/messages.ts';
import { readBody } from '../../http/read-body.ts';

/**
 * Who made an answer (`kong.response.get_source`): the upstream (`service`), a plugin or the gateway on purpose (`exit`), or
 * the gateway because something failed (`error`).
 */
export type ReplySource = 'service' | 'exit' | 'error';

/** The answer on its way to the client, as the plugins before have left it. */
export interface Reply {
  status: number;
  readonly headers: HeaderFields;
  readonly source: ReplySource;
  readonly body: ReplyBody;
}

/** The body of the answer. Passed on unread unless a plugin asks for it. */
export interface ReplyBody {
  /**
   * The whole of it, content codings undone, before the head is sent (Kong's `enable_buffering`): an event stream is waited for.
   * Null when it is longer than `limit` bytes or in a coding other than gzip and deflate: it is then passed on all the same. With `orCoded`
   * what is in another coding is given as it is.
   */
  read(limit: number, orCoded?: boolean): Promise<Uint8Array | null>;
  /** Another body in its place: Content-Length follows, Content-Encoding goes. */
  replace(body: Uint8Array | string): void;
  /**
   * Passes it through a transformation as it streams, content codings undone: Content-Length and Content-Encoding go. False, and
   * nothing is changed, for codings other than gzip and deflate; with `orCoded` what is in those is passed through as it is, and
   * Content-Encoding stays.
   */
  through(transformation: TransformStream<Uint8Array, Uint8Array>, orCoded?: boolean): boolean;
  /**
   * A copy of the bytes as they are sent, in whatever content coding, once all have come; null when it is longer than `limit`
   * bytes or broke off. Never delays the client.
   */
  copy(limit: number, done: (bytes: Uint8Array | null) => void): void;
}

/** Over a message. */
export class ResponseReply implements Reply, ReplyBody {
  readonly response: HttpResponse;
  readonly #waitUntil: (work: Promise<unknown>) => void;
  #source: ReplySource;

  constructor(response: HttpResponse, source: ReplySource, waitUntil: (work: Promise<unknown>) => void) {
    this.response = response;
    this.#source = source;
    this.#waitUntil = waitUntil;
  }

  get status(): number {
    return this.response.status;
  }

  set status(status: number) {
    this.response.status = status;
  }

  get headers(): HeaderFields {
    return this.response.headers;
  }

  get source(): ReplySource {
    return this.#source;
  }

  get body(): ReplyBody {
    return this;
  }

  /** Status, body and headers of another answer in place of these; what else this one's headers say stays, as in Kong. */
  answer({ status, content, headers }: HttpResponse, source: ReplySource): void {
    this.#source = source;
    this.status = status;
    this.response.content = isSource(content) ? content : bytesOf(content);
    for (const name of ABOUT_CONTENT) this.headers.delete(name);
    for (const name of new Set(headers.keys())) {
      if (name !== 'set-cookie') this.headers.set(name, headers.get(name) ?? '');
    }
    for (const cookie of headers.getSetCookie()) this.headers.append('Set-Cookie', cookie);
    if (!isSource(content)) this.headers.set('Content-Length', String(bytesOf(content).length));
  }

  async read(limit: number, orCoded = false): Promise<Uint8Array | null> {
    const { content } = this.response;
    const coding = this.#coding(orCoded);
    if (!isSource(content)) return decoded(bytesOf(content), coding, limit);
    if (Number(this.headers.get('content-length') ?? 0) > limit) return null;
    const { bytes, rest } = await readBody(content.stream(), limit);
    this.response.content = rest === null ? bytes : streamSource(rest);
    return rest === null ? decoded(bytes, coding, limit) : null;
  }

  replace(body: Uint8Array | string): void {
    const bytes = bytesOf(body);
    this.response.content = bytes;
    this.headers.delete('content-encoding');
    this.headers.set('Content-Length', String(bytes.length));
  }

  through(transformation: TransformStream<Uint8Array, Uint8Array>, orCoded = false): boolean {
    const { content } = this.response;
    const coding = this.#coding(orCoded);
    const format = coding === null ? null : decompressed(coding);
    if (coding !== null && format === null) return false;
    const stream = isSource(content) ? content.stream() : streamOf(bytesOf(content));
    const plain = format === null ? stream : undone(stream, format);
    this.response.content = streamSource(plain.pipeThrough(transformation));
    if (format !== null) this.headers.delete('content-encoding');
    this.headers.delete('content-length');
    return true;
  }

  /** What is to be undone; null: nothing. `orCoded`: what cannot be is left alone. */
  #coding(orCoded: boolean): string | null {
    const coding = this.headers.get('content-encoding');
    if (coding === null || isNone(coding)) return null;
    return orCoded && decompressed(coding) === null ? null : coding;
  }

  copy(limit: number, done: (bytes: Uint8Array | null) => void): void {
    const { content } = this.response;
    if (!isSource(content)) {
      const bytes = bytesOf(content);
      done(bytes.length <= limit ? bytes : null);
      return;
    }
    const [passed, copied] = content.stream().tee();
    this.response.content = streamSource(passed);
    const kept = readBody(copied, limit).then(async ({ bytes, rest }) => {
      await rest?.cancel();
      done(rest === null ? bytes : null);
    });
    this.#waitUntil(kept.catch(() => done(null)));
  }
}

/** What is said of a body, which another body is not. */
const ABOUT_CONTENT = ['content-length', 'content-encoding', 'content-type', 'etag', 'last-modified', 'content-range'];

function isSource(content: Content): content is BodySource {
  return content !== null && typeof content !== 'string' && !(content instanceof Uint8Array);
}

function bytesOf(content: null | string | Uint8Array): Uint8Array {
  if (content === null) return new Uint8Array();
  return typeof content === 'string' ? new TextEncoder().encode(content) : content;
}

/** Null when it is longer than `limit`, in a coding that cannot be undone here, or not in the coding it says. */
async function decoded(bytes: Uint8Array, coding: string | null, limit: number): Promise<Uint8Array | null> {
  if (bytes.length > limit) return null;
  if (coding === null || bytes.length === 0) return bytes;
  const format = decompressed(coding);
  if (format === null) return null;
  try {
    const read = await readBody(streamOf(bytes).pipeThrough(new DecompressionStream(format)), limit);
    await read.rest?.cancel();
    return read.bytes;
  } catch {
    return null;
  }
}

/** A body without its coding. What has no bytes at all, as the answer to HEAD or a 304, is nothing that the runtime could undo. */
function undone(coded: ReadableStream<Uint8Array>, format: 'gzip' | 'deflate'): ReadableStream<Uint8Array> {
  const open = async (): Promise<ReadableStreamDefaultReader<Uint8Array> | null> => {
    const { rest } = await readBody(coded, 0);
    return rest === null ? null : rest.pipeThrough(new DecompressionStream(format)).getReader();
  };
  let opened: ReturnType<typeof open> | null = null;
  return new ReadableStream({
    async pull(controller) {
      opened ??= open();
      const part = await (await opened)?.read();
      if (part === undefined || part.done) controller.close();
      else controller.enqueue(part.value);
    },
    async cancel(reason) {
      await (opened === null ? coded.cancel(reason) : (await opened)?.cancel(reason));
    },
  });
}

/**
 * Makes a request accept only codings that `read` undoes: which others its client takes must not decide whether a body can be read.
 */
export function acceptReadable(headers: HeaderFields): void {
  const accepted = headers.get('accept-encoding');
  if (accepted === null) return;
  const items = accepted.split(',').map((item) => item.trim());
  const readable = items.filter((item) => {
    const name = item.split(';', 1)[0] ?? '';
    return decompressed(name) !== null || name.trim().toLowerCase() === 'identity';
  });
  if (readable.length < items.length) headers.set('Accept-Encoding', readable.join(', ') || 'identity');
}

/** Some upstreams say that there is none. */
function isNone(coding: string): boolean {
  return /^\s*(?:identity)?\s*$/i.test(coding);
}

/** How the runtime calls a content coding it can undo. */
function decompressed(coding: string): 'gzip' | 'deflate' | null {
  const name = coding.trim().toLowerCase();
  if (name === 'gzip' || name === 'x-gzip') return 'gzip';
  return name === 'deflate' ? name : null;
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}
