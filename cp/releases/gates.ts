import type { Served, ServedSides } from '../telemetry/history.ts';
import { quantile } from '../telemetry/latency.ts';
import type { Ring } from './rings.ts';
import type { Standing } from './standing.ts';

/** Requests of a ring from which on its gates judge, where the ring does not say: fewer say too little. */
export const LEAST_JUDGED = 50;

/** Of the answers to some requests. */
export interface ServedFigures {
  readonly requests: number;
  readonly status_5xx: number;
  readonly latency_p99_ms: number | null;
}

export function figuresOf({ requests, failed, latencies }: Served): ServedFigures {
  const p99 = quantile(latencies, 0.99);
  return { requests, status_5xx: failed, latency_p99_ms: p99 === null ? null : Math.round(p99 * 100) / 100 };
}

/**
 * Why the requests of data planes that have a release speak against it, with the numbers; null: they do not, or are too few to say.
 * They are compared with those that had the config before at the same time; where these are too few, with what the group
 * served before the ring began; and where nothing is known of that, with no failures at all.
 */
export function faultIn(gates: Ring['gates'], { ring, others, before }: ServedSides): string | null {
  const least = gates.min_requests ?? LEAST_JUDGED;
  if (ring.requests === 0 || ring.requests < least) return null;
  const [base, whose] = others.requests >= least ? [others, 'with the config before'] : [before, 'before it began'];
  if (gates.max_5xx_increase !== null) {
    const [now, then] = [shareOf(ring), base.requests >= least ? shareOf(base) : 0];
    if (now - then > gates.max_5xx_increase) {
      const compared =
        base.requests >= least ? `${percent(then)} of ${base.requests} ${whose}` : 'nothing to compare with';
      return `${ring.failed} of ${ring.requests} requests (${percent(now)}) were answered 5xx, against ${compared} (max_5xx_increase ${gates.max_5xx_increase})`;
    }
  }
  if (gates.max_p99_ratio !== null && base.requests >= least) {
    const [now, then] = [quantile(ring.latencies, 0.99), quantile(base.latencies, 0.99)];
    if (now !== null && then !== null && now > then * gates.max_p99_ratio) {
      return `99 % of ${ring.requests} requests took up to ${Math.round(now)} ms, against ${Math.round(then)} ms of ${base.requests} ${whose} (max_p99_ratio ${gates.max_p99_ratio})`;
    }
  }
  return null;
}

/**
 * Of the data planes that are to have a release, too many left since the ring began, against those that have the config before: in words, with
 * the numbers; null: they did not. Who is taken down by a release serves no request that would tell of it.
 */
export function lossIn(
  { max_gone_increase: most }: Ring['gates'],
  { present, gone, others, othersGone }: Pick<Standing, 'present' | 'gone' | 'others' | 'othersGone'>,
): string | null {
  if (most === null || gone === 0) return null;
  const now = (gone / (gone + present)) * 100;
  const then = others.length === 0 ? 0 : (othersGone / others.length) * 100;
  if (now - then <= most) return null;
  const compared = others.length === 0 ? 'nothing to compare with' : `${othersGone} of the ${others.length} others`;
  return `${gone} of its ${gone + present} data planes left and stayed away, against ${compared} (max_gone_increase ${most})`;
}

/** What is missing before the next ring may begin; null: nothing. */
export function missingRequests({ min_requests: least }: Ring['gates'], { ring }: ServedSides): string | null {
  return least === null || ring.requests >= least ? null : `${ring.requests} of ${least} requests (min_requests)`;
}

/** Whether any of a ring's gates is about requests. */
export function judgesRequests({ max_5xx_increase, max_p99_ratio, min_requests }: Ring['gates']): boolean {
  return max_5xx_increase !== null || max_p99_ratio !== null || min_requests !== null;
}

/** In percent. */
function shareOf({ requests, failed }: Served): number {
  return requests === 0 ? 0 : (failed / requests) * 100;
}

function percent(value: number): string {
  return `${Math.round(value * 10) / 10} %`;
}
