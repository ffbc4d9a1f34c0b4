import { queryOptions } from '@tanstack/react-query';
import { AdminError, read } from '../admin/client.ts';
import type { Vitals } from './vitals.ts';

/** How far back one looks. */
export type Span = 'hour' | 'day';

/** Of the last hour or day: which steps are read, those of a chart and those of a line of a table, in seconds. */
export const SPANS = {
  hour: { label: 'Last hour', interval: 'seconds', seconds: 3_600, step: 15, coarse: 300, again: 10_000 },
  day: { label: 'Last day', interval: 'minutes', seconds: 86_400, step: 600, coarse: 3_600, again: 60_000 },
} as const;

/** How requests are told apart, as the Admin API names it. */
export type Level = 'routes' | 'services' | 'consumers' | 'nodes' | 'status_classes' | 'serials';

const NOT_ID = new Set(['', '*']);

/** Requests over time: of all, or of one route, service, consumer, data plane, class of status or serial. */
export const seriesQuery = (span: Span, of?: { readonly level: Level; readonly id: string }) =>
  queryOptions({
    queryKey: ['traffic', 'series', span, of?.level ?? null, of?.id ?? null],
    queryFn: ({ signal }) => {
      const one = of === undefined || NOT_ID.has(of.id) ? null : `/${of.level}/${encodeURIComponent(of.id)}`;
      return readVitals(one ?? '/cluster', span, SPANS[span].step, 1, signal);
    },
    refetchInterval: SPANS[span].again,
  });

/** What had most requests. */
export const totalsQuery = (span: Span, level: Level, size = 100) =>
  queryOptions({
    queryKey: ['traffic', 'totals', span, level, size],
    queryFn: ({ signal }) => readVitals(`/${level}`, span, SPANS[span].coarse, size, signal),
    refetchInterval: SPANS[span].again,
  });

/** What each data plane served in the last hour, without its steps. */
export const nodesTrafficQuery = queryOptions({
  queryKey: ['traffic', 'nodes'],
  queryFn: ({ signal }) => readVitals('/nodes', 'hour', SPANS.hour.seconds, 1_000, signal),
  refetchInterval: 30_000,
});

/** Null: the control plane keeps no telemetry. */
async function readVitals(
  path: string,
  span: Span,
  step: number,
  size: number,
  signal: AbortSignal,
): Promise<Vitals | null> {
  const { interval, seconds } = SPANS[span];
  try {
    ahead ??= (await read<Vitals>('/vitals/cluster', 'cluster', signal)).meta.latest_ts - Date.now() / 1000;
    const since = Math.max(0, Math.floor(Date.now() / 1000 + ahead) - seconds);
    const query = new URLSearchParams({ interval, step: String(step), size: String(size), start_ts: String(since) });
    return await read<Vitals>(`/vitals${path}?${query}`, 'cluster', signal);
  } catch (error) {
    if (error instanceof AdminError && error.status === 404) return null;
    throw error;
  }
}

/** Seconds by which the clock of what keeps telemetry is ahead of this browser's; null: not known yet. */
let ahead: number | null = null;
