import { withTimeout } from '../../http/read-timeout.ts';
import { BodyTooLarge, type UpstreamBody } from './egress.ts';

/** What becomes of a client's body on its way upstream. */
interface UploadWatch {
  /** A part was read from the client and is being written. */
  readonly writing?: () => void;
  readonly written?: () => void;
  /** All of it was written. */
  readonly sent?: () => void;
  /**
   * The client went away in the middle, its chunks are malformed, nothing came for too long (`ReadTimeout`), or too much (`BodyTooLarge`). What reads the stream must be aborted: a body that
   * merely ends looks complete, for the runtime closes it properly however its source ended.
   */
  readonly broken: (error: unknown) => void;
}

/** The most that is read from the client at once, in bytes. */
const PART = 64 << 10;

/** The client's body for a fetch, moved in large parts. */
export function upload(
  body: Extract<UpstreamBody, { kind: 'incoming' }>,
  watch: UploadWatch,
): ReadableStream<Uint8Array> {
  const pipe = body.length === null ? new IdentityTransformStream() : new FixedLengthStream(body.length);
  void move(body, pipe.writable.getWriter(), watch);
  return pipe.readable;
}

async function move(
  { source, length, patience, limit }: Extract<UpstreamBody, { kind: 'incoming' }>,
  writer: WritableStreamDefaultWriter<Uint8Array>,
  watch: UploadWatch,
): Promise<void> {
  const reader = source.stream().getReader({ mode: 'byob' });
  let passed = 0;
  let view: Uint8Array = new Uint8Array(Math.max(1, Math.min(PART, length ?? PART)));
  for (;;) {
    let part: ReadableStreamReadResult<Uint8Array>;
    try {
      part = await withTimeout(reader.read(view), patience);
    } catch (error) {
      watch.broken(error);
      return;
    }
    if (part.done) break;
    passed += part.value.length;
    if (limit !== null && passed > limit.bytes) {
      watch.broken(new BodyTooLarge(limit));
      // What the client goes on sending is for whoever answers it.
      reader.releaseLock();
      return;
    }
    watch.writing?.();
    try {
      await writer.write(part.value);
    } catch {
      // The upstream takes no more: it has answered early or is gone, which the fetch tells.
      await reader.cancel().catch(() => undefined);
      return;
    }
    watch.written?.();
    view = new Uint8Array(part.value.buffer);
  }
  try {
    await writer.close();
    watch.sent?.();
  } catch (error) {
    // Fewer bytes than were declared; or nobody reads any more, and then it does not matter.
    watch.broken(error);
  }
}
