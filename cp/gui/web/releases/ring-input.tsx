import { ActionIcon, Button, Group, NumberInput, Paper, SimpleGrid, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { parseNodeSelector, selects } from '../../../../shared/cluster/node-selector.ts';
import { dataPlanesQuery } from '../admin/queries.ts';
import { Icon } from '../parts/icons.tsx';
import { GATES, type RingDraft } from './rings.ts';

/** One ring of a release that is being made. `faultOf` gives what is wrong with a member, as in `.nodes.labels`. */
export function RingInput(props: {
  readonly ring: RingDraft;
  readonly number: number;
  readonly group: string;
  readonly faultOf: (member: string) => string | undefined;
  readonly onChange: (ring: RingDraft) => void;
  readonly onRemove?: () => void;
}) {
  const { ring, number, group, faultOf, onChange, onRemove } = props;
  const [opened, { toggle, open }] = useDisclosure();
  const { data = [] } = useQuery(dataPlanesQuery);
  const members = data.filter((node) => node.group === group && node.state === 'connected');
  const fitting = fits(ring.labels, members);
  const someGateIsWrong = GATES.some(({ name }) => faultOf(`.gates.${name}`) !== undefined);
  // Open it stays when what was wrong is being mended.
  useEffect(() => {
    if (someGateIsWrong) open();
  }, [someGateIsWrong, open]);
  const value = (given: string | number): number | '' => (typeof given === 'number' ? given : '');
  return (
    <Paper withBorder p="sm" radius="md" component="fieldset">
      <Group justify="space-between" mb={4}>
        <Text component="legend" size="sm" fw={650}>
          Ring {number}
        </Text>
        {onRemove !== undefined && (
          <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`Remove ring ${number}`} onClick={onRemove}>
            <Icon name="close" size={14} />
          </ActionIcon>
        )}
      </Group>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} spacing="sm">
        <TextInput
          label={`Labels of ring ${number}`}
          description="As region=eu, canary. Empty: any."
          value={ring.labels}
          onChange={({ currentTarget }) => onChange({ ...ring, labels: currentTarget.value })}
          error={faultOf('.nodes.labels')}
          spellCheck={false}
          autoComplete="off"
        />
        <NumberInput
          label={`Percent of ring ${number}`}
          description={fitting === null ? 'Of those with the labels.' : `Of ${fitting} connected now.`}
          value={ring.percent}
          min={0}
          max={100}
          onChange={(given) => onChange({ ...ring, percent: value(given) })}
          error={faultOf('.nodes.percent')}
        />
        <NumberInput
          label={`Requests of ring ${number}`}
          description="Of these, in percent."
          placeholder="all"
          value={ring.share}
          min={0}
          max={100}
          onChange={(given) => onChange({ ...ring, share: value(given) })}
          error={faultOf('.traffic.percent')}
        />
        <NumberInput
          label={`Seconds at ring ${number}`}
          description="Before the next ring gets it."
          value={ring.hold}
          min={0}
          onChange={(given) => onChange({ ...ring, hold: value(given) })}
          error={faultOf('.hold')}
        />
      </SimpleGrid>
      <Button
        variant="subtle"
        size="compact-sm"
        mt="xs"
        aria-expanded={opened}
        onClick={toggle}
        rightSection={<Icon name={opened ? 'up' : 'down'} size={12} />}
      >
        Gates of ring {number}
      </Button>
      {opened && (
        <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }} spacing="sm" mt="xs">
          {GATES.map(({ name, label, initial, least }) => (
            <NumberInput
              key={name}
              label={label}
              placeholder={initial}
              value={ring.gates[name]}
              min={least}
              onChange={(given) => onChange({ ...ring, gates: { ...ring.gates, [name]: value(given) } })}
              error={faultOf(`.gates.${name}`)}
            />
          ))}
        </SimpleGrid>
      )}
    </Paper>
  );
}

/** How many of these a selector fits; null: it says nothing yet that can be understood. */
function fits(
  labels: string,
  nodes: readonly { readonly labels: Readonly<Record<string, string>> | null }[],
): number | null {
  if (labels.trim() === '') return nodes.length;
  try {
    const selector = parseNodeSelector(labels);
    return nodes.filter((node) => selects(selector, node.labels ?? {})).length;
  } catch {
    return null;
  }
}
