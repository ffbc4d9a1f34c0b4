import { LIMITS } from './format.ts';

/**
 * The place of a key among 2^bits objects. Not cryptographic: both planes compute it, on the request's path in one of
 * them. One more bit splits place p into p and p + 2^bits, so growth moves no row anywhere else.
 */
export function placeOf(key: string, bits: number): number {
  return (hash(key) & (2 ** bits - 1)) >>> 0;
}

/** FNV-1a over UTF-16 code units, then MurmurHash3's finalizer so that the low bits are as good as the high ones. */
function hash(key: string): number {
  let state = 0x811c9dc5;
  for (let position = 0; position < key.length; position++) {
    state = Math.imul(state ^ key.charCodeAt(position), 0x01000193);
  }
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return state ^ (state >>> 16);
}

/** Bytes of canonical JSON an average object of a table is kept between. */
const GROW_ABOVE = 256 << 10;
const SHRINK_BELOW = 48 << 10;
/** Where it lands when it has to change: well inside, so that adding and removing one row never flips it back. */
const AIM_BELOW = 128 << 10;

/**
 * How many bits to spread a table of `bytes` over. `current` is kept while the average object stays between the
 * bounds; changing it re-packs the whole table, so it must be rare. Null: no bits yet.
 */
export function bitsFor(bytes: number, current: number | null): number {
  if (current !== null) {
    const average = bytes / 2 ** current;
    const tooLarge = average > GROW_ABOVE && current < LIMITS.bits;
    const tooSmall = average < SHRINK_BELOW && current > 0;
    if (!tooLarge && !tooSmall) return current;
  }
  let bits = 0;
  while (bits < LIMITS.bits && bytes / 2 ** bits > AIM_BELOW) bits++;
  return bits;
}
