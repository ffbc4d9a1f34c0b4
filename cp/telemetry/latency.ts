import { LATENCY_BOUNDS, type Latencies } from '../../shared/telemetry/series.ts';

/**
 * The latency in milliseconds that a part of the requests stays within (0.99: ninety-nine of a hundred), as evenly spread
 * within its bucket; null: there were none.
 */
export function quantile({ buckets }: Latencies, part: number): number | null {
  const all = countOf(buckets);
  if (all === 0) return null;
  let left = all * part;
  for (const [place, count] of buckets.entries()) {
    if (count < left) {
      left -= count;
      continue;
    }
    const low = place === 0 ? 0 : (LATENCY_BOUNDS[place - 1] ?? 0);
    // Of the last bucket nothing is known but where it begins.
    const high = LATENCY_BOUNDS[place] ?? low;
    return low + (high - low) * (count === 0 ? 0 : left / count);
  }
  return LATENCY_BOUNDS.at(-1) ?? null;
}

/** Null: there were none. */
export function average({ buckets, sum }: Latencies): number | null {
  const all = countOf(buckets);
  return all === 0 ? null : sum / all;
}

export function countOf(buckets: readonly number[]): number {
  return buckets.reduce((sum, count) => sum + count, 0);
}

/** Of both. */
export function merged(a: Latencies, b: Latencies): Latencies {
  return { buckets: a.buckets.map((count, place) => count + (b.buckets[place] ?? 0)), sum: a.sum + b.sum };
}
