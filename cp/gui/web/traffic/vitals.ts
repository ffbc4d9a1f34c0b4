/** `GET /vitals/…`. */
export interface Vitals {
  readonly meta: {
    /** Seconds of a step. */
    readonly interval_width: number;
    /** Seconds since 1970. */
    readonly earliest_ts: number;
    readonly latest_ts: number;
    readonly stat_labels: readonly string[];
    readonly names: Readonly<Record<string, string>>;
  };
  readonly stats: Readonly<Record<string, Readonly<Record<string, Numbers>>>>;
  readonly totals: Readonly<Record<string, Numbers>>;
}

type Numbers = readonly (number | null)[];

/** Seconds for which data planes gather and send: a step is not known whole before. */
const TOLD_AFTER = 10;

/** Seconds of a step that is not over from which on it is drawn: what was told of it says something by then. */
const ENOUGH = 60;

/** What became of requests over time; all lists are as long as `times`. */
export interface TrafficSeries {
  /** When each step begins, in seconds since 1970. */
  readonly times: readonly number[];
  readonly rate: readonly number[];
  /** Per second, answered 4xx and 5xx. */
  readonly rate4xx: readonly number[];
  readonly rate5xx: readonly number[];
  /** Milliseconds; null where there were no requests. */
  readonly p50: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
  readonly upstreamP99: readonly (number | null)[];
}

/** The steps of one subject, also those in which nothing was told of; without an id those of the only one there is. */
export function seriesOf(vitals: Vitals, id?: string): TrafficSeries {
  const { interval_width: width, earliest_ts: from, latest_ts: until } = vitals.meta;
  const line = (id === undefined ? Object.values(vitals.stats)[0] : vitals.stats[id]) ?? {};
  const times: number[] = [];
  const told = until - TOLD_AFTER;
  for (let at = from; at + Math.min(width, ENOUGH) <= told; at += width) times.push(at);
  const column = (label: string) => {
    const place = vitals.meta.stat_labels.indexOf(label);
    return times.map((at) => line[String(at)]?.[place] ?? null);
  };
  // The last step may not be over: it is of the seconds that have been told.
  const seconds = times.map((at) => Math.min(width, told - at));
  const perSecond = (label: string) => column(label).map((count, place) => (count ?? 0) / (seconds[place] ?? width));
  return {
    times,
    rate: perSecond('requests_total'),
    rate4xx: perSecond('status_4xx_total'),
    rate5xx: perSecond('status_5xx_total'),
    p50: column('latency_request_p50_ms'),
    p99: column('latency_request_p99_ms'),
    upstreamP99: column('latency_upstream_p99_ms'),
  };
}

/** What became of the requests of one route, service, consumer, data plane or config in all of a time. */
export interface SubjectTotals {
  readonly id: string;
  readonly name: string | null;
  readonly requests: number;
  /** Shares from 0 to 1. */
  readonly share4xx: number;
  readonly share5xx: number;
  /** Milliseconds. */
  readonly p50: number | null;
  readonly p99: number | null;
  /** Requests in each step. */
  readonly line: readonly number[];
}

/** Subjects by how many requests they had, the most first. */
export function totalsOf(vitals: Vitals): readonly SubjectTotals[] {
  const { interval_width: width, earliest_ts: from, latest_ts: until, stat_labels: labels, names } = vitals.meta;
  const value = (numbers: Numbers, label: string) => numbers[labels.indexOf(label)] ?? null;
  const found = Object.entries(vitals.totals).map(([id, numbers]) => {
    const requests = value(numbers, 'requests_total') ?? 0;
    const share = (label: string) => (requests === 0 ? 0 : (value(numbers, label) ?? 0) / requests);
    const line: number[] = [];
    for (let at = from; at < until; at += width) {
      const step = vitals.stats[id]?.[String(at)];
      line.push(step === undefined ? 0 : (value(step, 'requests_total') ?? 0));
    }
    return {
      id,
      name: names[id] ?? null,
      requests,
      share4xx: share('status_4xx_total'),
      share5xx: share('status_5xx_total'),
      p50: value(numbers, 'latency_request_p50_ms'),
      p99: value(numbers, 'latency_request_p99_ms'),
      line,
    };
  });
  return found.sort((a, b) => b.requests - a.requests || a.id.localeCompare(b.id));
}

/** The last step in which there was a request, and the sum of all. */
export function summaryOf(series: TrafficSeries): {
  readonly rate: number | null;
  readonly share5xx: number | null;
  readonly p50: number | null;
  readonly p99: number | null;
} {
  const last = <T>(values: readonly T[]): T | null => values.at(-1) ?? null;
  const rate = last(series.rate);
  const failed = last(series.rate5xx);
  return {
    rate,
    share5xx: rate === null || failed === null || rate === 0 ? null : failed / rate,
    p50: last(series.p50.filter((value) => value !== null)),
    p99: last(series.p99.filter((value) => value !== null)),
  };
}

/** A rate in as many digits as say something. */
export function rateText(perSecond: number): string {
  return perSecond >= 100 || perSecond === 0
    ? Math.round(perSecond).toLocaleString('en')
    : perSecond.toLocaleString('en', { maximumSignificantDigits: 2 });
}

/** Milliseconds in words. */
export function msText(ms: number | null): string {
  if (ms === null) return '–';
  if (ms === 0) return '0 ms';
  return ms >= 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${ms >= 10 ? Math.round(ms) : ms.toFixed(1)} ms`;
}

/** A share from 0 to 1 in percent. */
export function shareText(share: number | null): string {
  if (share === null) return '–';
  if (share === 0) return '0 %';
  return share < 0.0005 ? '< 0.1 %' : `${(share * 100).toFixed(1)} %`;
}
