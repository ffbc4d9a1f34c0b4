/** The longest body, in bytes, whose first part is waited for, and for how many milliseconds. */
export const SMALL_BODY = 16 << 10;
const PATIENCE = 5;

/** A short body, of which a first part may have been read. */
export type ReadAhead =
  | { readonly whole: Uint8Array }
  | {
      readonly whole: null;
      readonly reader: ReadableStreamDefaultReader<Uint8Array>;
      /** What the reader was asked for already. */
      readonly first: Promise<ReadableStreamReadResult<Uint8Array>>;
    };

/**
 * Reads a short body of known length. It mostly comes in one part with its head, and to read that costs half of having
 * the runtime pipe it. Where it does not come at once it is moved part by part: the client must not wait for its head.
 */
export function readAhead(body: ReadableStream<Uint8Array>, length: number): Promise<ReadAhead> {
  const reader = body.getReader();
  const first = reader.read();
  return new Promise((resolve) => {
    const slow = (): void => resolve({ whole: null, reader, first });
    const timer = setTimeout(slow, PATIENCE);
    first.then((part) => {
      clearTimeout(timer);
      if (part.done || part.value.length !== length) slow();
      else resolve({ whole: part.value });
    }, slow);
  });
}
