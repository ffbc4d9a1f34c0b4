import type { Address, Picker } from './address.ts';

/**
 * The faster of two addresses drawn at random, by the moving average of the time to their response's head over their
 * weight (power of two choices: near the best, without the herd that always takes the best).
 */
export function latency(addresses: readonly Address[], random: () => number = Math.random): Picker {
  return {
    pick(eligible, _key, now) {
      const candidates = addresses.filter(eligible);
      const first = draw(candidates, random);
      if (first === undefined) return null;
      const second = draw(
        candidates.filter((address) => address !== first),
        random,
      );
      if (second === undefined) return first;
      return score(second, now) < score(first, now) ? second : first;
    },
  };
}

/** Gives addresses that were never measured the average of those that were. */
export function welcomeNewcomers(addresses: readonly Address[], now: number): void {
  const known = addresses.flatMap(({ state }) => state.latency(now) ?? []);
  if (known.length === 0) return;
  const average = known.reduce((sum, value) => sum + value, 0) / known.length;
  for (const { state } of addresses) state.startAt(average, now);
}

function draw(addresses: readonly Address[], random: () => number): Address | undefined {
  return addresses[Math.floor(random() * addresses.length)];
}

function score({ state, weight }: Address, now: number): number {
  return (state.latency(now) ?? 0) / weight;
}
