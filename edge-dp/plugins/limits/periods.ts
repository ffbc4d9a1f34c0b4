import type { Window } from '../runtime/services.ts';

/** The periods of Kong's limits, the shortest first. */
export const PERIODS = ['second', 'minute', 'hour', 'day', 'month', 'year'] as const;
export type Period = (typeof PERIODS)[number];

/** What is allowed per period; null: as much as anybody likes. */
export type PeriodLimits = Readonly<Record<Period, number | null>>;

interface Span {
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
}

const FIXED: Readonly<Record<Period, number>> = {
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  month: 0,
  year: 0,
};

/** One limit of a configuration. */
export interface Limit {
  readonly period: Period;
  readonly limit: number;
}

/** The limits there are, the shortest period first. */
export function limitsOf(limits: PeriodLimits): readonly Limit[] {
  return PERIODS.flatMap((period) => {
    const limit = limits[period];
    return limit === null ? [] : [{ period, limit }];
  });
}

/** The windows of these limits now, which begin with the UTC calendar's own. */
export function windowsAt(now: number, limits: readonly Limit[], key: string): readonly Window[] {
  return limits.map(({ period, limit }) => {
    const { start, end } = spanAt(now, period);
    // A part of a request cannot be counted: as in Kong, 1.5 a minute are two.
    return { key, start, length: end - start, limit: Math.ceil(limit) };
  });
}

/** Whole seconds until a window is over, at least one. */
export function secondsLeft({ start, length }: Window, now: number): number {
  return Math.max(1, Math.ceil((start + length - now) / 1_000));
}

/** The month and the year there are: what the calendar says of them is asked once. */
const calendar: { month: Span; year: Span } = { month: { start: 0, end: 0 }, year: { start: 0, end: 0 } };

function spanAt(now: number, period: Period): Span {
  if (period === 'month' || period === 'year') {
    const known = calendar[period];
    if (now >= known.start && now < known.end) return known;
    calendar[period] = calendarSpan(now, period);
    return calendar[period];
  }
  const length = FIXED[period];
  const start = now - (now % length);
  return { start, end: start + length };
}

function calendarSpan(now: number, period: 'month' | 'year'): Span {
  const date = new Date(now);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  return period === 'year'
    ? { start: Date.UTC(year, 0), end: Date.UTC(year + 1, 0) }
    : { start: Date.UTC(year, month), end: Date.UTC(year, month + 1) };
}
