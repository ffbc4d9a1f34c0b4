import {
  BUCKETS,
  type Dimension,
  type Latencies,
  type Series,
  type SeriesKey,
  SOURCES,
} from '../../shared/telemetry/series.ts';

/** Numbers of one series as isolates and their keeper have them: buckets and sum of requests, then of upstreams. */
export const SERIES_NUMBERS = 2 * (BUCKETS + 1);

/** What a series is called within its dimension. */
export function seriesText({ subject, service, status, source }: Omit<SeriesKey, 'dimension'>): string {
  return `${subject}|${service}|${status}|${source}`;
}

/** Throws a `TypeError` for what is none. */
export function readSeries(dimension: Dimension, text: string, numbers: readonly number[]): Series {
  const [subject, service, status, source, ...more] = text.split('|');
  const known = SOURCES.find((one) => one === source);
  if (subject === undefined || service === undefined || known === undefined || more.length > 0) {
    throw new TypeError('no series of telemetry');
  }
  return {
    dimension,
    subject,
    service,
    status: Number(status),
    source: known,
    request: latencies(numbers, 0),
    upstream: latencies(numbers, BUCKETS + 1),
  };
}

function latencies(numbers: readonly number[], from: number): Latencies {
  return { buckets: numbers.slice(from, from + BUCKETS), sum: numbers[from + BUCKETS] ?? 0 };
}
