import { queryOptions } from '@tanstack/react-query';
import type { Health, NodeTargetHealth } from '../../../admin/cluster/cluster-view.ts';
import { read, readAll } from '../admin/client.ts';

/** A row of `GET /upstreams/{upstream}/health`, as far as it is shown. */
export interface TargetHealth {
  readonly id: string;
  readonly target: string;
  readonly weight: number;
  readonly health: Health;
  readonly data: { readonly addresses: NodeTargetHealth['addresses'] };
  readonly data_planes: readonly (NodeTargetHealth & { readonly id: string; readonly hostname: string })[];
}

/** Health changes by itself, and no event tells of it. */
const AGAIN = 5_000;

/** The targets of an upstream as data planes see them. */
export const targetsHealthQuery = (upstream: string) =>
  queryOptions({
    queryKey: ['health', 'targets', upstream],
    queryFn: ({ signal }) =>
      readAll<TargetHealth>(`/upstreams/${encodeURIComponent(upstream)}/health`, 'workspace', signal),
    refetchInterval: AGAIN,
  });

interface UpstreamHealth {
  readonly health: Health;
  readonly balancer_health: 'HEALTHY' | 'UNHEALTHY';
  readonly details: {
    readonly weight: { readonly total: number; readonly available: number };
  };
}

/** An upstream as a whole. */
export const upstreamHealthQuery = (upstream: string) =>
  queryOptions({
    queryKey: ['health', 'upstream', upstream],
    queryFn: async ({ signal }) =>
      (
        await read<{ readonly data: UpstreamHealth }>(
          `/upstreams/${encodeURIComponent(upstream)}/health?balancer_health=1`,
          'workspace',
          signal,
        )
      ).data,
    refetchInterval: AGAIN * 2,
  });
