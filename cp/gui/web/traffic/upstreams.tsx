import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { rowsQuery } from '../config/queries.ts';
import { HealthPill } from '../health/pill.tsx';
import { upstreamHealthQuery } from '../health/queries.ts';
import { TargetsHealth } from '../health/targets-health.tsx';
import { ButtonLink } from '../parts/links.tsx';
import { Foreign, Section, Unread } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';

/** Each asks the control plane by itself. */
const SHOWN = 10;

/** The upstreams by their health, whose targets can be marked here. */
export function UpstreamsHealth() {
  const { data, error, refetch } = useQuery(rowsQuery('upstreams'));
  const [words, setWords] = useState('');
  const [opened, open] = useState<string | null>(null);
  const all = data?.rows ?? [];
  const fitting = all.filter(({ name }) => String(name).toLowerCase().includes(words.trim().toLowerCase()));
  return (
    <Section title="Health of upstreams">
      {data === undefined ? (
        <Unread error={error} again={refetch} lines={2} />
      ) : all.length === 0 ? (
        <Group gap="sm">
          <Text size="sm" c="dimmed">
            No service is spread over targets.
          </Text>
          <ButtonLink to="/config/$kind/new" params={{ kind: 'upstreams' }} size="xs" variant="default">
            New upstream
          </ButtonLink>
        </Group>
      ) : (
        <Stack gap="xs">
          {all.length > SHOWN && (
            <TextInput
              aria-label="Find upstreams"
              placeholder="Name"
              value={words}
              onChange={({ currentTarget }) => setWords(currentTarget.value)}
              maw={320}
            />
          )}
          {fitting.slice(0, SHOWN).map(({ id, name }) => (
            <OneUpstream
              key={String(id)}
              id={String(id)}
              name={String(name)}
              opened={opened === id}
              onOpen={() => open(opened === id ? null : String(id))}
            />
          ))}
          {fitting.length > SHOWN && (
            <Text size="sm" c="dimmed">
              and {(fitting.length - SHOWN).toLocaleString('en')} more: find them by name
            </Text>
          )}
        </Stack>
      )}
    </Section>
  );
}

function OneUpstream(props: {
  readonly id: string;
  readonly name: string;
  readonly opened: boolean;
  readonly onOpen: () => void;
}) {
  const { id, name, opened, onOpen } = props;
  const { data } = useQuery(upstreamHealthQuery(id));
  return (
    <div>
      <div className="hf-part">
        <Link className="hf-link hf-break" to="/config/$kind/$id" params={{ kind: 'upstreams', id }}>
          <Foreign text={name} most={100} />
        </Link>
        {data !== undefined && (
          <>
            <HealthPill health={data.balancer_health === 'UNHEALTHY' ? 'UNHEALTHY' : data.health} />
            <Text size="sm" c="dimmed" className="hf-num">
              {weightText(data.details.weight)}
            </Text>
          </>
        )}
        <Button
          size="compact-xs"
          variant="default"
          aria-expanded={opened}
          aria-label={`${opened ? 'Hide' : 'Show'} targets of ${plain(name, 80)}`}
          onClick={onOpen}
        >
          {opened ? 'Hide targets' : 'Show targets'}
        </Button>
      </div>
      {opened && <TargetsHealth upstream={id} />}
    </div>
  );
}

function weightText({ total, available }: { readonly total: number; readonly available: number }): string {
  if (total === 0) return 'no target';
  return available === total
    ? 'all of its weight gets requests'
    : `${available} of its weight of ${total} gets requests`;
}
