import { Badge, Tooltip } from '@mantine/core';
import type { Health } from '../../../admin/cluster/cluster-view.ts';
import { HEALTHS } from './words.ts';

/** The health of a target in a word. */
export function HealthPill({ health }: { readonly health: Health }) {
  const { label, color, meaning } = HEALTHS[health];
  return (
    <Tooltip label={meaning}>
      <Badge className="hf-pill" variant="light" color={color} tt="none" radius="sm">
        {label}
      </Badge>
    </Tooltip>
  );
}
