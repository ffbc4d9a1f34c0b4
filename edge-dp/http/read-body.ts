import { joinedBytes } from '../../shared/bytes.ts';

/** What was read of a body: all of it, or, where it proved too long, a stream of the same body from its start. */
export type ReadBody =
  | { readonly bytes: Uint8Array; readonly rest: null }
  | { readonly bytes: null; readonly rest: ReadableStream<Uint8Array> };

/** Reads at most `limit` bytes. `next`: how a part is waited for, to give up on what does not come. Rejects as the stream does. */
export async function readBody(
  stream: ReadableStream<Uint8Array>,
  limit: number,
  next: <T>(part: Promise<T>) => Promise<T> = (part) => part,
): Promise<ReadBody> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { value, done } = await next(reader.read());
    if (done) return { bytes: joinedBytes(chunks), rest: null };
    chunks.push(value);
    size += value.length;
    if (size > limit) return { bytes: null, rest: resumed(chunks, reader) };
  }
}

/** What was read, then the rest as it comes. */
function resumed(
  chunks: readonly Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array> {
  const pending = [...chunks];
  return new ReadableStream({
    type: 'bytes',
    async pull(controller: ReadableByteStreamController) {
      const next = pending.shift();
      if (next !== undefined) return controller.enqueue(copyOf(next));
      const { value, done } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(copyOf(value));
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/** A byte stream takes over the memory of what it is given, and on Node that is shared with other parts, or with anything. */
function copyOf(part: Uint8Array): Uint8Array {
  return new Uint8Array(part);
}
