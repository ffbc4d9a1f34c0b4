/**
 * The place of a key among 2^bits objects. Not cryptographic: both planes compute it, on the request's path in one of
 * them. One more bit splits place p into p and p + 2^bits, so growth moves no row anywhere else.
 */
export function placeOf(key: string, bits: number): number {
  return (hash(key) & (2 ** bits - 1)) >>> 0;
}

/** FNV-1a over UTF-16 code units, then MurmurHash3's finalizer so that the low bits are as good as the high ones. 32 bits, signed. */
export function hash(key: string): number {
  let state = 0x811c9dc5;
  for (let position = 0; position < key.length; position++) {
    state = Math.imul(state ^ key.charCodeAt(position), 0x01000193);
  }
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return state ^ (state >>> 16);
}
