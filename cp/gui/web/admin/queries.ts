import { type QueryClient, queryOptions } from '@tanstack/react-query';
import type { DataPlaneDetail, DataPlaneRecord } from '../../../admin/cluster/cluster-view.ts';
import { AdminError, read, readAll } from './client.ts';
import { liveInterval } from './live.ts';
import type { Expiration, Group, Information, Page, Status } from './shapes.ts';

/** How often what changes by itself is read again, in milliseconds. */
const LIVELY = 3_000;
const CALM = 15_000;

export const informationQuery = queryOptions({
  queryKey: ['information'],
  queryFn: ({ signal }) => read<Information>('/', 'cluster', signal),
  staleTime: Number.POSITIVE_INFINITY,
});

export const statusQuery = queryOptions({
  queryKey: ['cluster', 'status'],
  queryFn: ({ signal }) => read<Status>('/status', 'cluster', signal),
  refetchInterval: liveInterval(LIVELY),
});

export const dataPlanesQuery = queryOptions({
  queryKey: ['cluster', 'data-planes'],
  queryFn: ({ signal }) => readAll<DataPlaneRecord>('/clustering/data-planes', 'cluster', signal),
  refetchInterval: liveInterval(LIVELY),
});

export const dataPlaneQuery = (id: string) =>
  queryOptions({
    queryKey: ['cluster', 'data-plane', id],
    queryFn: ({ signal }) =>
      read<DataPlaneDetail>(`/clustering/data-planes/${encodeURIComponent(id)}`, 'cluster', signal),
    refetchInterval: liveInterval(LIVELY),
  });

/** Every group there is, the one called `default` always. */
export const groupsQuery = queryOptions({
  queryKey: ['cluster', 'groups'],
  async queryFn({ signal }) {
    const stored = await readAll<{ readonly name: string }>('/groups', 'cluster', signal);
    const names = [...new Set([...stored.map(({ name }) => name), 'default'])];
    return Promise.all(names.map((name) => read<Group>(`/groups/${encodeURIComponent(name)}`, 'cluster', signal)));
  },
  refetchInterval: liveInterval(LIVELY),
});

/** Certificates and API keys that are over within a month. */
export const expirationsQuery = queryOptions({
  queryKey: ['expirations'],
  queryFn: async ({ signal }) => (await read<Page<Expiration>>('/expirations', 'cluster', signal)).data,
  staleTime: 60_000,
  refetchInterval: 5 * 60_000,
});

export const workspacesQuery = queryOptions({
  queryKey: ['workspaces'],
  queryFn: ({ signal }) => readAll<{ readonly id: string; readonly name: string }>('/workspaces', 'cluster', signal),
  refetchInterval: liveInterval(CALM),
});

/** How many rows of an entity there are, as far as is counted; `more` when there are others. */
export const countQuery = (entity: string) =>
  queryOptions({
    queryKey: ['entities', entity, 'count'],
    async queryFn({ signal }) {
      const page = await read<Page<unknown>>(`/${entity}?size=1000`, 'workspace', signal);
      return { rows: page.data.length, more: page.next !== null };
    },
    refetchInterval: liveInterval(CALM),
  });

/** A control plane that is gone is waited for by the banner, and what was refused is refused again. */
export function retries(failures: number, error: Error): boolean {
  return error instanceof AdminError && error.status >= 500 && failures < 2;
}

/** To be called after a write: what is shown may be another. */
export function afterWrite(client: QueryClient): Promise<void> {
  return client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'information' });
}
