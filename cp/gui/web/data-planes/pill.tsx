import { Badge, Tooltip } from '@mantine/core';
import { type NodeState, STATES } from './state.ts';

/** The state of a data plane in a word. */
export function StatePill({ state }: { readonly state: NodeState }) {
  const { label, color, meaning } = STATES[state];
  return (
    <Tooltip label={meaning}>
      <Badge className={`hf-pill hf-pill-${color}`} variant="light" color={color} tt="none" radius="sm">
        {label}
      </Badge>
    </Tooltip>
  );
}
