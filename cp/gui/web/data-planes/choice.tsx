import { Group, Select, Text } from '@mantine/core';
import type { DataPlaneRecord } from '../../../admin/cluster/cluster-view.ts';
import { plain } from '../parts/plain.ts';

/**
 * One of several data planes, or none in particular (null). Its serial stands beside its name and is no part of it: it moves on while
 * somebody types, who would have to begin again.
 */
export function DataPlaneChoice(props: {
  readonly nodes: readonly DataPlaneRecord[];
  readonly chosen: string | null;
  readonly onChoose: (id: string | null) => void;
  /** Which one is asked when none is chosen. */
  readonly otherwise: string;
  readonly nothingFound: string;
}) {
  const { nodes, chosen, onChoose, otherwise, nothingFound } = props;
  const options = nodes.map(({ id, hostname }) => ({
    value: id,
    label: plain(hostname === '' ? id.slice(0, 8) : hostname, 80),
  }));
  const serials = new Map(nodes.map(({ id, serial }) => [id, serial]));
  return (
    <Select
      label="On data plane"
      description={`Unless you choose one, ${otherwise} is asked.`}
      placeholder={otherwise}
      data={
        chosen === null || serials.has(chosen) ? options : [...options, { value: chosen, label: chosen.slice(0, 8) }]
      }
      value={chosen}
      onChange={onChoose}
      renderOption={({ option }) => (
        <Group gap="xs">
          <bdi>{option.label}</bdi>
          <Text span size="sm" c="dimmed">
            serial {serials.get(option.value) ?? 'none'}
          </Text>
        </Group>
      )}
      searchable
      clearable
      limit={50}
      nothingFoundMessage={nothingFound}
      clearButtonProps={{ 'aria-label': `Ask ${otherwise}` }}
    />
  );
}
