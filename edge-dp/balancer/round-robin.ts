import type { Address, Picker } from './address.ts';

/** Longest wheel; weights that need more are scaled down, each to 1 at least. */
const MAX_WHEEL = 65_536;

/**
 * Weighted round robin: each address stands on a wheel as often as its weight divided by the weights' greatest common
 * divisor, spread evenly so that turns are never bunched. `start` is any number: where the wheel begins to turn.
 */
export function roundRobin(addresses: readonly Address[], start: number): Picker {
  const wheel = wheelOf(addresses);
  let at = wheel.length === 0 ? 0 : start % wheel.length;
  return {
    pick(eligible) {
      for (let turn = 0; turn < wheel.length; turn++) {
        const address = wheel[at];
        at = at + 1 === wheel.length ? 0 : at + 1;
        if (address !== undefined && eligible(address)) return address;
      }
      return null;
    },
  };
}

function wheelOf(addresses: readonly Address[]): readonly Address[] {
  const divisor = addresses.reduce((common, { weight }) => gcd(weight, common), 0) || 1;
  const total = addresses.reduce((sum, { weight }) => sum + weight / divisor, 0);
  const scale = Math.min(1, MAX_WHEEL / total) / divisor;
  const places: { readonly address: Address; readonly turn: number }[] = [];
  addresses.forEach((address, index) => {
    const count = Math.max(1, Math.floor(address.weight * scale));
    // A little apart per address, so that equal weights do not all start on the same place.
    const offset = (index + 1) / (addresses.length + 1);
    for (let i = 0; i < count; i++) places.push({ address, turn: (i + offset) / count });
  });
  return places.sort((a, b) => a.turn - b.turn).map(({ address }) => address);
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
