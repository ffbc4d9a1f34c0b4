/**
 * What data planes tell of their traffic. Each request is counted three times, by its route, by the config that served it and by its
 * consumer, and not by all of them together: a hundred routes and a thousand consumers are eleven hundred counts, not a
 * hundred thousand.
 */
export const DIMENSIONS = ['route', 'serial', 'consumer'] as const;

export type Dimension = (typeof DIMENSIONS)[number];

/** Counts of one dimension that a node keeps apart in one interval; what is beyond is counted together, as `OTHER`. */
export const MOST_SERIES: Readonly<Record<Dimension, number>> = { route: 2_000, serial: 100, consumer: 1_000 };

/** All that there was no room for, in place of an id. */
export const OTHER = '*';

/** Upper bounds of the latencies' buckets in milliseconds: all that Kong's prometheus plugin has for upstreams, and finer ones. */
export const LATENCY_BOUNDS = [
  1, 2, 3, 5, 7, 10, 15, 25, 35, 50, 80, 100, 150, 250, 400, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 30_000,
  60_000,
] as const;

/** One more than there are bounds: the last one is of all that took longer. */
export const BUCKETS = LATENCY_BOUNDS.length + 1;

/** Milliseconds: how many took how long, bucket by bucket, and all of it together. */
export interface Latencies {
  readonly buckets: readonly number[];
  readonly sum: number;
}

/** What requests are counted by. */
export interface SeriesKey {
  readonly dimension: Dimension;
  /** Id of the route or consumer, or the serial; empty: no route was found, nobody was identified, no control plane's config. */
  readonly subject: string;
  /** Of the dimension `route`: the service's id, or empty. */
  readonly service: string;
  /** First digit of the status. */
  readonly status: number;
  /** Who answered: the upstream, or the gateway. */
  readonly source: Source;
}

export type Source = (typeof SOURCES)[number];

/** As Kong's prometheus plugin says it. */
export const SOURCES = ['service', 'kong'] as const;

export interface Series extends SeriesKey {
  /** From the first byte of the request to the last of the answer. Each request is in it: its count is that of requests. */
  readonly request: Latencies;
  /** From sending the request on to the upstream's head; only of those that were sent on. */
  readonly upstream: Latencies;
}

/** What a node tells of one interval. */
export interface TelemetryBatch {
  /** UUID of the node. */
  readonly node: string;
  /** UUID of the one who numbers the batches: another one whenever the node is started. */
  readonly stream: string;
  /** Grows by one; what was told twice is counted once. */
  readonly number: number;
  /** Milliseconds since the epoch, by the node's clock. */
  readonly from: number;
  readonly until: number;
  readonly series: readonly Series[];
  /** Requests that were counted as `OTHER`, in some dimension. */
  readonly bounded: number;
  /** Requests of earlier batches that were dropped, since nobody took them in time. */
  readonly dropped: number;
}

/** The bucket of a latency. */
export function bucketOf(milliseconds: number): number {
  let bucket = 0;
  while (bucket < LATENCY_BOUNDS.length && milliseconds > (LATENCY_BOUNDS[bucket] ?? 0)) bucket++;
  return bucket;
}
