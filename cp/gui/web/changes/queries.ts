import { infiniteQueryOptions } from '@tanstack/react-query';
import { read } from '../admin/client.ts';
import { liveInterval } from '../admin/live.ts';
import type { Page } from '../admin/shapes.ts';
import type { Author } from '../parts/author.ts';

/** A row of `GET /changes`. */
export interface NamedCommit {
  readonly serial: number;
  readonly at: number;
  /** Null: nobody said, or it was written before that was kept. */
  readonly by: Author | null;
  /** Rows that were changed, of which the first are named. */
  readonly total: number;
  readonly changes: readonly {
    readonly entity: string;
    readonly id: string;
    readonly operation: 'create' | 'update' | 'delete';
    readonly name: string | null;
  }[];
}

/** What was written, the newest first, page by page. */
export const changesQuery = infiniteQueryOptions({
  // Of the entities: every change is one of this list.
  queryKey: ['entities', 'changes'],
  queryFn: ({ pageParam, signal }) =>
    read<Page<NamedCommit>>(
      `/changes?size=50${pageParam === '' ? '' : `&offset=${encodeURIComponent(pageParam)}`}`,
      'cluster',
      signal,
    ),
  initialPageParam: '',
  getNextPageParam: ({ offset }) => offset,
  refetchInterval: liveInterval(5_000),
});
