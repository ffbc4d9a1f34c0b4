import { concatBytes } from '../bytes.ts';
import type { Bytes } from './format.ts';
import { BundleRefused } from './refusal.ts';

/** What is done with the bytes of each object that is read. */
export interface ByteWork {
  /**
   * Inflates gzip to at most `limit` bytes: a small bomb never becomes large memory. Throws `BundleRefused` with `size` beyond them, another
   * error for what is no intact gzip.
   */
  inflate(bytes: Bytes, limit: number): Promise<Bytes>;
  /** Lower-case hex. */
  sha256(bytes: Bytes): Promise<string>;
}

/** By what all runtimes have. */
let work: ByteWork = { inflate: inflateByStreams, sha256: sha256ByWebCrypto };

/** Says, once per process, what does it there: a stream and a digest of the web's cost Node more to set up than an object takes. */
export function provideByteWork(own: ByteWork): void {
  work = own;
}

export function byteWork(): ByteWork {
  return work;
}

export function tooLarge(limit: number): BundleRefused {
  return new BundleRefused('size', `more than the allowed ${limit} bytes after decompression`);
}

function inflateByStreams(bytes: Bytes, limit: number): Promise<Bytes> {
  return through(new DecompressionStream('gzip'), bytes, limit);
}

async function sha256ByWebCrypto(bytes: Bytes): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  let hex = '';
  for (const byte of digest) hex += byte.toString(16).padStart(2, '0');
  return hex;
}

/** What a stream makes of the bytes, as long as that is no more than `limit`. */
export async function through(
  stream: CompressionStream | DecompressionStream,
  bytes: Bytes,
  limit: number,
): Promise<Bytes> {
  const writer = stream.writable.getWriter();
  // Errors of the writing side reach the reading side too, which is where they are thrown.
  const written = writer
    .write(bytes)
    .then(() => writer.close())
    .catch(() => undefined);
  const reader = stream.readable.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > limit) {
      const refusal = tooLarge(limit);
      await reader.cancel(refusal).catch(() => undefined);
      throw refusal;
    }
    chunks.push(value);
  }
  await written;
  return concatBytes(chunks);
}
