import { type Directives, seconds } from '../../http/cache-control.ts';
import type { HeaderFields } from '../../http/fields.ts';
import { parseHttpDate } from '../../http/http-date.ts';
import type { OriginDirectives } from './origin-directives.ts';

/** How long an answer may be used again by a shared cache (RFC 9111 section 4.2). Seconds. */
export interface Freshness {
  readonly lifetime: number;
  /** What it was old already when it came. */
  readonly age: number;
  readonly mustRevalidate: boolean;
}

/** Directives by which a shared cache keeps nothing; a list of fields in them is taken for all. */
const UNSTORED = ['no-store', 'no-cache', 'private'] as const;
/** Directives by which a shared cache serves nothing stale (section 5.2.2). */
const REVALIDATED = ['must-revalidate', 'proxy-revalidate', 's-maxage'] as const;

/** Directives by which what was said to one who showed credentials may be said to others (section 3.5). */
const SHARED = ['public', 's-maxage', 'must-revalidate'] as const;

export function isShared(directives: Directives): boolean {
  return SHARED.some((name) => directives.has(name));
}

/** Null: it must not be stored, or is stale as it comes. `now` in seconds since the epoch, when its head came. */
export function freshnessOf(
  headers: HeaderFields,
  { directives, targeted }: OriginDirectives,
  now: number,
): Freshness | null {
  if (UNSTORED.some((name) => directives.has(name))) return null;
  if (headers.get('vary')?.includes('*')) return null;
  const date = parseHttpDate(headers.get('date') ?? '');
  const age = Math.max(ageValue(headers.get('age')), date === null ? 0 : now - date);
  const lifetime =
    seconds(directives, 's-maxage') ??
    seconds(directives, 'max-age') ??
    (targeted ? 0 : untilExpiry(headers, date ?? now));
  if (lifetime - age <= 0) return null;
  return { lifetime, age, mustRevalidate: REVALIDATED.some((name) => directives.has(name)) };
}

/** The first of several; 0 for what is none. */
function ageValue(value: string | null): number {
  const [, digits] = /^\s*(\d+)\s*(?:,|$)/.exec(value ?? '') ?? [];
  return digits === undefined ? 0 : Math.min(Number(digits), 2 ** 31);
}

/** What is no date is over (section 5.3). */
function untilExpiry(headers: HeaderFields, date: number): number {
  const text = headers.get('expires') ?? '';
  // An HTTP date is in GMT, and says so but in asctime's form, which has no comma.
  const expiry = text.includes(',') && !text.endsWith(' GMT') ? null : parseHttpDate(text);
  return expiry === null ? 0 : expiry - date;
}

/** What a client wants of a stored answer (section 5.2.1). Seconds. */
export interface Wishes {
  readonly maxAge: number | null;
  /** Infinite: however stale. Null: nothing said. */
  readonly maxStale: number | null;
  readonly minFresh: number | null;
}

export function wishesOf(directives: Directives): Wishes {
  const unlimited = directives.get('max-stale') === null;
  return {
    maxAge: seconds(directives, 'max-age'),
    maxStale: unlimited ? Number.POSITIVE_INFINITY : seconds(directives, 'max-stale'),
    minFresh: seconds(directives, 'min-fresh'),
  };
}

/**
 * Whether an answer of an age may be given without asking again. A stale one that is still there may, unless origin or client say
 * otherwise: that it is there is what `storage_ttl` is set for.
 */
export function isUsable({ lifetime, mustRevalidate }: Omit<Freshness, 'age'>, age: number, wishes: Wishes): boolean {
  const staleness = age - lifetime;
  if (wishes.maxAge !== null && age > wishes.maxAge) return false;
  if (wishes.minFresh !== null && -staleness < wishes.minFresh) return false;
  if (staleness <= 0) return true;
  return !mustRevalidate && (wishes.maxStale === null || staleness <= wishes.maxStale);
}
