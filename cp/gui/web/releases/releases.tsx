import { Alert, Badge, Button, Group, Modal, NumberInput, Progress, Select, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { reasonOf, write } from '../admin/client.ts';
import { afterWrite, groupsQuery } from '../admin/queries.ts';
import { ChangeList } from '../parts/change-list.tsx';
import { Icon } from '../parts/icons.tsx';
import { ButtonLink } from '../parts/links.tsx';
import { Empty, Failure, Foreign, Loading, Moment, PageHead, Section } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { tellOutcome } from '../shell/outcome.tsx';
import { pendingQuery, type Release, releaseQuery, releasesQuery } from './queries.ts';
import { ORDERS, ordersOf, stepsOf } from './steps.ts';

/** What waits to be released, what is on its way, and what was released. */
export function Releases() {
  const groups = useQuery(groupsQuery);
  const releases = useQuery(releasesQuery);
  const waiting = (groups.data ?? []).filter(({ publish }) => publish === 'release');
  const failed = [groups, releases].find(({ error, data }) => error !== null && data === undefined);
  return (
    <>
      <PageHead title="Releases">
        Groups that are published by release get what is written when it is released: at once, or ring by ring, and
        back.
      </PageHead>
      {failed !== undefined ? (
        <Failure error={failed.error} again={() => void failed.refetch()} />
      ) : groups.data === undefined || releases.data === undefined ? (
        <Loading lines={6} />
      ) : waiting.length === 0 && releases.data.length === 0 ? (
        <Empty
          icon="releases"
          title="Everything is published at once"
          action={
            <ButtonLink to="/config/$kind/new" params={{ kind: 'groups' }}>
              New data plane group
            </ButtonLink>
          }
        >
          Set “Publish” of a data plane group to release, and its changes wait here until you release them. A group
          called default has all data planes that are in no other.
        </Empty>
      ) : (
        <Stack gap="md">
          {waiting.map(({ name }) => (
            <Pending key={name} group={name} />
          ))}
          <Section title="Releases, the newest first">
            {releases.data.length === 0 ? (
              <Text size="sm" c="dimmed">
                None yet.
              </Text>
            ) : (
              <Stack gap="md">
                {releases.data.map((release) => (
                  <OneRelease key={release.id} release={release} />
                ))}
              </Stack>
            )}
          </Section>
        </Stack>
      )}
    </>
  );
}

function Pending({ group }: { readonly group: string }) {
  const { data, error, refetch } = useQuery(pendingQuery(group));
  const client = useQueryClient();
  const [how, setHow] = useState('all');
  const [hold, setHold] = useState(300);
  const release = useMutation({
    mutationFn: () =>
      write('POST', '/releases', { group, ...(how === 'all' ? {} : { strategy: stepsOf(how, hold) }) }, 'cluster'),
    async onSuccess(written) {
      tellOutcome(`Released to ${group}`, written);
      await afterWrite(client);
    },
  });
  return (
    <Section title={`Waits for group ${plain(group, 60)}`}>
      {data === undefined ? (
        error === null ? (
          <Loading lines={2} />
        ) : (
          <Failure error={error} again={() => void refetch()} />
        )
      ) : data.length === 0 ? (
        <Text size="sm" c="dimmed">
          Nothing: its data planes have all that is written.
        </Text>
      ) : (
        <Stack gap="md">
          <ChangeList changes={data} />
          {release.error !== null && (
            <Alert color="red" variant="light" role="alert">
              {plain(reasonOf(release.error), 1000)}
            </Alert>
          )}
          <Group align="flex-end" gap="sm">
            <Select
              label="To whom"
              data={[
                { value: 'all', label: 'All data planes at once' },
                { value: '25', label: 'A quarter, then all' },
                { value: '10,50', label: 'A tenth, half, then all' },
              ]}
              value={how}
              onChange={(value) => setHow(value ?? 'all')}
              allowDeselect={false}
            />
            {how !== 'all' && (
              <NumberInput
                label="Seconds at each ring"
                value={hold}
                min={0}
                onChange={(value) => setHold(Number(value) || 0)}
                w={180}
              />
            )}
            <Button loading={release.isPending} onClick={() => release.mutate()}>
              Release {data.length === 1 ? 'it' : `these ${data.length}`}
            </Button>
          </Group>
          <Text size="sm" c="dimmed">
            A ring whose data planes refuse the config undoes the release by itself. Rings by labels, and a time to
            begin: holdfast release create.
          </Text>
        </Stack>
      )}
    </Section>
  );
}

const COLORS: Readonly<Record<Release['state'], string>> = {
  scheduled: 'gray',
  rolling: 'cyan',
  paused: 'yellow',
  live: 'teal',
  replaced: 'gray',
  aborted: 'red',
  published: 'gray',
};

function OneRelease({ release }: { readonly release: Release }) {
  const [opened, show] = useDisclosure();
  const client = useQueryClient();
  const order = useMutation({
    mutationFn: (name: string) => write('POST', `/releases/${release.id}/${name}`, undefined, 'cluster'),
    async onSuccess(written, name) {
      tellOutcome(`${ORDERS[name] ?? name}: release of ${release.group}`, written);
      await afterWrite(client);
    },
  });
  const { state, ring, strategy, reason } = release;
  return (
    <div>
      <Group gap="xs">
        <Badge variant="light" color={COLORS[state]} tt="none" radius="sm">
          {state}
        </Badge>
        <Text fw={600} size="sm">
          <Foreign text={release.group} most={60} />
        </Text>
        <Text size="sm" className="hf-num">
          serial {release.serial}
        </Text>
        <Text size="sm" c="dimmed">
          <Moment at={release.created_at} />
        </Text>
        {ring !== null && strategy.length > 0 && (
          <Text size="sm">
            ring {ring} of {strategy.length}
          </Text>
        )}
        {release.rollback_to !== null && (
          <Text size="sm" c="dimmed">
            back to {release.rollback_to.slice(0, 8)}
          </Text>
        )}
      </Group>
      {ring !== null && strategy.length > 0 && (
        <Progress
          mt={6}
          size="sm"
          value={(100 * ring) / (strategy.length + 1)}
          aria-label={`Ring ${ring} of ${strategy.length}`}
        />
      )}
      {reason !== null && (
        <Text size="sm" mt={4} className="hf-break">
          {plain(reason, 1000)}
        </Text>
      )}
      {order.error !== null && (
        <Alert mt="xs" color="red" variant="light" role="alert">
          {plain(reasonOf(order.error), 1000)}
        </Alert>
      )}
      <Group gap="xs" mt={6}>
        <Button variant="default" size="compact-sm" onClick={show.open}>
          What it changes
        </Button>
        {ordersOf(release).map((name) => (
          <Button
            key={name}
            variant="default"
            size="compact-sm"
            loading={order.isPending && order.variables === name}
            onClick={() => order.mutate(name)}
          >
            {ORDERS[name]}
          </Button>
        ))}
      </Group>
      <Modal
        opened={opened}
        onClose={show.close}
        title={`Release ${release.id.slice(0, 8)} of ${plain(release.group, 60)}`}
        size="lg"
      >
        {opened && <Detail id={release.id} />}
      </Modal>
    </div>
  );
}

/** What data planes get by it that do not have it. */
function Detail({ id }: { readonly id: string }) {
  const { data, error, refetch } = useQuery(releaseQuery(id));
  if (data === undefined)
    return error === null ? <Loading lines={3} /> : <Failure error={error} again={() => void refetch()} />;
  if (data.changes.length === 0) {
    return (
      <Group gap="xs">
        <Icon name="check" size={16} />
        <Text size="sm">Nothing: it is what data planes have.</Text>
      </Group>
    );
  }
  return <ChangeList changes={data.changes} />;
}
