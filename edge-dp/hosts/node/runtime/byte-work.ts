import { hash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { type ByteWork, tooLarge } from '../../../../shared/bundle/byte-work.ts';
import type { Bytes } from '../../../../shared/bundle/format.ts';

/** Bytes of a buffer that most objects fit into whole. */
const ROOM = 1 << 18;
const LEAST_ROOM = 1 << 10;

/** In this thread: an object of a bundle takes a millisecond or two, and to hand it to another thread costs more. */
export const nodeByteWork: ByteWork = {
  async inflate(bytes, limit) {
    const inflated = inflatedWithin(bytes, Math.max(limit, 1));
    if (inflated === null || inflated.length > limit) throw tooLarge(limit);
    return inflated;
  },
  sha256: async (bytes) => hash('sha256', bytes, 'hex'),
};

/** Null: it is more than `limit`, which is at least 1. */
function inflatedWithin(bytes: Bytes, limit: number): Bytes | null {
  try {
    // A byte more than there are to be: what is read into one buffer is not copied again.
    const chunkSize = Math.min(Math.max(limit + 1, LEAST_ROOM), ROOM);
    return gunzipSync(bytes, { maxOutputLength: limit, chunkSize });
  } catch (error) {
    if (error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') return null;
    throw error;
  }
}
