import { queryOptions } from '@tanstack/react-query';
import type { SeenUpstream } from '../../../admin/cluster/cluster-view.ts';
import { read } from '../admin/client.ts';
import type { Page } from '../admin/shapes.ts';

/** The upstreams that a data plane has told of. */
export const seenUpstreamsQuery = (id: string) =>
  queryOptions({
    queryKey: ['health', 'data-plane', id],
    queryFn: async ({ signal }) =>
      (await read<Page<SeenUpstream>>(`/clustering/data-planes/${encodeURIComponent(id)}/upstreams`, 'cluster', signal))
        .data,
    refetchInterval: 10_000,
  });
