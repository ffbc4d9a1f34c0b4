import type { Address, Picker } from './address.ts';

/** The address with the lowest (connections + 1) / weight; equals take turns. */
export function leastConnections(addresses: readonly Address[], start: number): Picker {
  let from = start;
  return {
    pick(eligible, _key, now) {
      let best: Address | null = null;
      let lowest = Number.POSITIVE_INFINITY;
      from = (from + 1) % Math.max(1, addresses.length);
      for (let i = 0; i < addresses.length; i++) {
        const address = addresses[(from + i) % addresses.length];
        if (address === undefined || !eligible(address)) continue;
        const load = (address.state.connections(now) + 1) / address.weight;
        if (load < lowest) {
          best = address;
          lowest = load;
        }
      }
      return best;
    },
  };
}
