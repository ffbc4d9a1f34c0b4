import type { Address, Picker } from './address.ts';
import { xxHash32 } from './xxhash32.ts';

/** Points of an address when all weights are equal. */
const POINTS = 160;
/** Smallest ring, whatever `slots` says. */
const MIN_SLOTS = 1000;

/**
 * Kong's ring: `slots` places, each address on about 160 of them in proportion to its weight, a key at the place of its
 * xxHash32, served by the first address found counter-clockwise. The same ring on every node and in Kong itself, so
 * that keys keep their targets across data planes and when moving here.
 */
export function consistentHashing(addresses: readonly Address[], slots: number, targets = addresses.length): Picker {
  const ring = ringOf(addresses, Math.max(MIN_SLOTS, slots), targets);
  return {
    pick(eligible, key) {
      const start = xxHash32(key) % ring.length;
      for (let step = 0; step < ring.length; step++) {
        const address = ring[(start - step + ring.length) % ring.length];
        if (address !== undefined && address !== null && eligible(address)) return address;
      }
      return null;
    },
  };
}

function ringOf(addresses: readonly Address[], slots: number, targets: number): readonly (Address | null)[] {
  const ring: (Address | null)[] = Array<Address | null>(slots).fill(null);
  const total = addresses.reduce((sum, { weight }) => sum + weight, 0);
  // Placed in one fixed order, so that a place two addresses want goes to the same one everywhere.
  let free = slots;
  const ordered = [...addresses].sort((a, b) => compare(a.name, b.name) || a.port - b.port || compare(a.ip, b.ip));
  for (const address of ordered) {
    let entries = Math.max(1, Math.floor((address.weight / total) * targets * POINTS));
    // Once every place is taken, as with some 60 targets and Kong's usual slots, none is left for all that is still to be tried.
    for (let i = 1; i <= entries && i <= slots && free > 0; i++) {
      const place = xxHash32(`${address.ip}::${address.port} ${i}`) % slots;
      if (ring[place] === null) {
        ring[place] = address;
        free -= 1;
      }
      // Taken: this address gets one more try further on.
      else entries += 1;
    }
  }
  return ring;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
