import { useEffect, useState } from 'react';

const UNITS = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const;

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** Seconds since 1970, seen from others, in words such as `2 minutes ago`. */
export function ago(at: number, now: number): string {
  const distance = at - now;
  const [unit, seconds] = UNITS.find(([, length]) => Math.abs(distance) >= length) ?? ['second', 1];
  return Math.abs(distance) < 5 ? 'just now' : relative.format(Math.round(distance / seconds), unit);
}

/** Seconds since 1970 as date and time of whoever looks. */
export function dateAndTime(at: number): string {
  return exact.format(at * 1000);
}

/** Seconds since 1970, every so many seconds anew. */
export function useNow(interval = 5): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now() / 1000), interval * 1000);
    return () => clearInterval(timer);
  }, [interval]);
  return now;
}
