import { queryOptions } from '@tanstack/react-query';
import { read } from '../admin/client.ts';
import { liveInterval } from '../admin/live.ts';
import type { Page } from '../admin/shapes.ts';
import type { EntityChange } from '../parts/change-list.tsx';
import type { Release } from './steps.ts';

export type { Release } from './steps.ts';

export const releasesQuery = queryOptions({
  queryKey: ['releases', 'list'],
  queryFn: async ({ signal }) => (await read<Page<Release>>('/releases?size=50', 'cluster', signal)).data,
  refetchInterval: liveInterval(3_000),
});

export const releaseQuery = (id: string) =>
  queryOptions({
    queryKey: ['releases', id],
    queryFn: ({ signal }) =>
      read<Release & { readonly changes: readonly EntityChange[] }>(`/releases/${id}`, 'cluster', signal),
  });

/** What is written and not released to a group. */
export const pendingQuery = (group: string) =>
  queryOptions({
    queryKey: ['releases', 'pending', group],
    queryFn: async ({ signal }) =>
      (await read<Page<EntityChange>>(`/groups/${encodeURIComponent(group)}/pending`, 'cluster', signal)).data,
    refetchInterval: liveInterval(3_000),
  });
