import type { Author } from './author.ts';
import { Foreign } from './pieces.tsx';

/** Who made a change, in a few words. */
export function Who({ by }: { readonly by: Author | null }) {
  if (by === null) return <>not known who</>;
  const { via, user, address, client } = by;
  if (via === 'control_plane') {
    return (
      <>
        the control plane{client !== null && ': '}
        {client !== null && <Foreign text={client} most={100} />}
      </>
    );
  }
  const from = via === 'command' ? null : (address ?? 'an address that is not known');
  const parts = [user, from, client].filter((part) => part !== null);
  return parts.map((part, place) => (
    // The same text may be there twice.
    <span key={`${place} ${part}`}>
      {place > 0 && ', '}
      <Foreign text={part} most={100} />
    </span>
  ));
}
