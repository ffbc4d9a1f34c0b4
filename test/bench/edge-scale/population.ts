/** Milliseconds an isolate lives on average. */
export const LIFETIME = 30 * 60_000;
/** Milliseconds between two requests of an isolate, on average: from the busiest to the idlest, as many in each order of magnitude. */
const GAPS = [50, 60_000] as const;

export function gapOf(random: () => number): number {
  return GAPS[0] * (GAPS[1] / GAPS[0]) ** random();
}

/** Colos have more or less traffic: the busiest has some thirty times that of the quietest. */
export function placing<Place>(colos: readonly Place[], random: () => number): () => Place {
  const upTo: number[] = [];
  let sum = 0;
  for (const [rank] of colos.entries()) {
    sum += 1 / (rank + 10);
    upTo.push(sum);
  }
  const [first] = colos;
  if (first === undefined) throw new Error('a network has colos');
  return () => {
    const point = random() * sum;
    return colos[upTo.findIndex((limit) => point < limit)] ?? first;
  };
}

/** Mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
