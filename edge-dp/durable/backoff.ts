/** Milliseconds. */
const FIRST = 500;
export const LONGEST_PAUSE = 15_000;

/**
 * Milliseconds to wait after the `attempt`th failure in a row (from 1): doubling, and spread over its upper half so that
 * the data planes of a restarted control plane do not come back all at once.
 */
export function backoff(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST_PAUSE, FIRST * 2 ** Math.min(attempt - 1, 10));
  return full / 2 + (full / 2) * random();
}
