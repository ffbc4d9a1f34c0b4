import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Empty } from '../parts/pieces.tsx';

export function NothingHere() {
  return (
    <Empty
      alone
      icon="search"
      title="There is no such page"
      action={
        <Button component={Link} to="/">
          Go to the overview
        </Button>
      }
    >
      The address may be mistyped, or what was here is gone.
    </Empty>
  );
}
