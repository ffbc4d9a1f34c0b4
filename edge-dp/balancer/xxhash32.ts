/** xxHash32 with seed 0 (Collet) of a text's UTF-8 bytes, unsigned: what Kong's consistent hashing is built on. */
export function xxHash32(text: string): number {
  const bytes = UTF8.encode(text);
  const { length } = bytes;
  let at = 0;
  let hash: number;
  if (length >= 16) {
    const lanes: [number, number, number, number] = [(PRIME1 + PRIME2) | 0, PRIME2, 0, -PRIME1 | 0];
    for (; at + 16 <= length; at += 16) {
      lanes[0] = round(lanes[0], word(bytes, at));
      lanes[1] = round(lanes[1], word(bytes, at + 4));
      lanes[2] = round(lanes[2], word(bytes, at + 8));
      lanes[3] = round(lanes[3], word(bytes, at + 12));
    }
    hash = (rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18)) | 0;
  } else {
    hash = PRIME5;
  }
  hash = (hash + length) | 0;
  for (; at + 4 <= length; at += 4)
    hash = Math.imul(rotate((hash + Math.imul(word(bytes, at), PRIME3)) | 0, 17), PRIME4);
  for (; at < length; at++) hash = Math.imul(rotate((hash + Math.imul(bytes[at] ?? 0, PRIME5)) | 0, 11), PRIME1);
  hash = Math.imul(hash ^ (hash >>> 15), PRIME2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const UTF8 = new TextEncoder();

const PRIME1 = 0x9e3779b1 | 0;
const PRIME2 = 0x85ebca77 | 0;
const PRIME3 = 0xc2b2ae3d | 0;
const PRIME4 = 0x27d4eb2f;
const PRIME5 = 0x165667b1;

function round(lane: number, input: number): number {
  return Math.imul(rotate((lane + Math.imul(input, PRIME2)) | 0, 13), PRIME1);
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24) | 0
  );
}
