import { Group, Select, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { ChangeList } from '../parts/change-list.tsx';
import { Section, Unread } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { dateAndTime } from '../parts/time.ts';
import { betweenQuery } from './queries.ts';
import type { Release } from './steps.ts';

/** What is different between any two releases, entity by entity and field by field. */
export function Compare({ releases }: { readonly releases: readonly Release[] }) {
  const [from, setFrom] = useState<string | null>(null);
  const [to, setTo] = useState<string | null>(null);
  const both = from !== null && to !== null && from !== to;
  const { data, error, refetch } = useQuery({ ...betweenQuery(from ?? '', to ?? ''), enabled: both });
  const options = releases.map(({ id, group, serial, state, created_at }) => ({
    value: id,
    label: plain(`serial ${serial} of ${group}, ${state}, ${dateAndTime(created_at)}`, 120),
  }));
  return (
    <Section title="Compare two of them">
      <Stack gap="md">
        <Group gap="sm" align="flex-end">
          <Select label="From" data={options} value={from} onChange={setFrom} searchable limit={50} flex="1 1 240px" />
          <Select label="To" data={options} value={to} onChange={setTo} searchable limit={50} flex="1 1 240px" />
        </Group>
        <div aria-live="polite">
          {!both ? (
            <Text size="sm" c="dimmed">
              Choose two, and what is different in the second one is told field by field.
            </Text>
          ) : data === undefined ? (
            <Unread error={error} again={refetch} lines={2} />
          ) : data.length === 0 ? (
            <Text size="sm">Nothing is different.</Text>
          ) : (
            <ChangeList changes={data} />
          )}
        </div>
      </Stack>
    </Section>
  );
}
