import { queryOptions } from '@tanstack/react-query';
import { read } from '../admin/client.ts';
import { liveInterval } from '../admin/live.ts';
import type { Page } from '../admin/shapes.ts';
import type { EntityChange } from '../parts/change-list.tsx';
import type { Figures, Release } from './steps.ts';

export type { Release } from './steps.ts';

export const releasesQuery = queryOptions({
  queryKey: ['releases', 'list'],
  queryFn: async ({ signal }) => (await read<Page<Release>>('/releases?size=50', 'cluster', signal)).data,
  refetchInterval: liveInterval(3_000),
});

/** The release that a group's data planes have, if that is kept; null: it is not. */
export const liveReleaseQuery = (group: string, hash: string) =>
  queryOptions({
    queryKey: ['releases', 'live', group, hash],
    queryFn: async ({ signal }) => {
      const path = `/releases?size=5&group=${encodeURIComponent(group)}`;
      const { data } = await read<Page<Release>>(path, 'cluster', signal);
      const is = ({ state, config_hash }: Release) =>
        (state === 'live' || state === 'published') && config_hash === hash;
      return data.find(is) ?? null;
    },
    // It is written down some moments after data planes were told.
    refetchInterval: ({ state: { data } }) => (data == null ? 5_000 : 60_000),
  });

export const releaseQuery = (id: string) =>
  queryOptions({
    queryKey: ['releases', id],
    queryFn: ({ signal }) =>
      read<Release & { readonly changes: readonly EntityChange[]; readonly figures: Figures | null }>(
        `/releases/${id}`,
        'cluster',
        signal,
      ),
  });

/** What is different in the second of two releases. */
export const betweenQuery = (from: string, to: string) =>
  queryOptions({
    queryKey: ['releases', 'between', from, to],
    queryFn: async ({ signal }) =>
      (await read<Page<EntityChange>>(`/releases/${from}/diff/${to}`, 'cluster', signal)).data,
    staleTime: Number.POSITIVE_INFINITY,
  });

/** What is written and not released to a group. */
export const pendingQuery = (group: string) =>
  queryOptions({
    queryKey: ['releases', 'pending', group],
    queryFn: async ({ signal }) =>
      await read<Page<EntityChange> & { readonly config_hash: string }>(
        `/groups/${encodeURIComponent(group)}/pending`,
        'cluster',
        signal,
      ),
    refetchInterval: liveInterval(3_000),
  });
