import { ButtonLink } from '../parts/links.tsx';
import { Empty } from '../parts/pieces.tsx';

export function NothingHere() {
  return (
    <Empty
      alone
      icon="search"
      title="There is no such page"
      action={<ButtonLink to="/">Go to the overview</ButtonLink>}
    >
      The address may be mistyped, or what was here is gone.
    </Empty>
  );
}
