import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { nodeByteWork } from '../../../edge-dp/hosts/node/runtime/byte-work.ts';
import { byteWork } from '../../../shared/bundle/byte-work.ts';
import type { Bytes } from '../../../shared/bundle/format.ts';

const web = byteWork();
const zipped = (bytes: Bytes): Bytes => new Uint8Array(gzipSync(bytes));

describe.each([0, 1, 3_000, 262_143, 262_144, 262_145, 700_000])('an object of %d bytes', (size) => {
  const bytes = new Uint8Array(randomBytes(size));
  const gzip = zipped(bytes);

  it('is read on Node as everywhere else', async () => {
    for (const limit of [size, size + 1, 4 << 20]) {
      expect(Buffer.compare(await nodeByteWork.inflate(gzip, limit), bytes)).toBe(0);
    }
    expect(await nodeByteWork.sha256(bytes)).toBe(await web.sha256(bytes));
  });

  it('is refused where it is larger than it may be, or not whole', async () => {
    const larger = zipped(new Uint8Array(size + 1));
    for (const { inflate } of [web, nodeByteWork]) {
      await expect(inflate(larger, size)).rejects.toMatchObject({
        reason: 'size',
        message: `more than the allowed ${size} bytes after decompression`,
      });
      await expect(inflate(gzip.subarray(0, gzip.length - 9), 4 << 20)).rejects.toThrow();
      await expect(inflate(new Uint8Array([1, 2, 3]), 4 << 20)).rejects.toThrow();
    }
  });
});
