import { useQuery } from '@tanstack/react-query';
import { Moment } from '../parts/pieces.tsx';
import { liveReleaseQuery } from '../releases/queries.ts';

/** Since when a group's data planes are given what they have; nothing, where no such release is kept. */
export function LiveSince({ group, hash }: { readonly group: string; readonly hash: string }) {
  const { data } = useQuery(liveReleaseQuery(group, hash));
  if (data == null) return null;
  return (
    <>
      {', published '}
      <Moment at={data.state === 'published' ? data.created_at : data.updated_at} />
    </>
  );
}
