import { Alert, Button, Group, Paper, Select, Stack, Tabs, Text } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { reasonOf, write } from '../admin/client.ts';
import { dataPlanesQuery, groupsQuery } from '../admin/queries.ts';
import { DataPlaneChoice } from '../data-planes/choice.tsx';
import { Icon } from '../parts/icons.tsx';
import { ButtonLink } from '../parts/links.tsx';
import { Empty, failureOf, PageHead, Unread } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { dateAndTime } from '../parts/time.ts';
import { releasesQuery } from '../releases/queries.ts';
import type { Release } from '../releases/steps.ts';
import { type Given, GivenRequests } from './given-requests.tsx';
import { ReplayOutcome } from './outcome.tsx';
import { MOST, parseReplayed, type Replayed, requestsIn } from './replayed.ts';

const page = getRouteApi('/replay');

/** What can be tried: a release, or what waits for a group. */
interface Candidate {
  readonly value: string;
  readonly label: string;
  readonly group: string;
  readonly path: string;
}

/** Which requests would meet something else with a release, or with what waits for one. */
export function Replay() {
  const groups = useQuery(groupsQuery);
  const releases = useQuery(releasesQuery);
  const waiting = (groups.data ?? []).filter(({ publish }) => publish === 'release').map(({ name }) => name);
  const candidates = [...waiting.map(pendingOf), ...(releases.data ?? []).map(releaseOf)];
  return (
    <>
      <PageHead
        title="Replay"
        actions={
          <ButtonLink to="/releases" variant="default">
            Show releases
          </ButtonLink>
        }
      >
        Which requests would meet another route, service, upstream, plugins or answer with a release, or with what waits
        for one. A data plane tells it beside what it serves; nothing is sent.
      </PageHead>
      {groups.data === undefined || releases.data === undefined ? (
        <Unread {...failureOf(groups, releases)} lines={6} />
      ) : candidates.length === 0 ? (
        <Empty
          icon="releases"
          title="There is no release to try"
          action={
            <ButtonLink to="/config/$kind/new" params={{ kind: 'groups' }}>
              New data plane group
            </ButtonLink>
          }
        >
          Set “Publish” of a data plane group to release: what is written then waits, and can be tried here before
          anybody gets it.
        </Empty>
      ) : (
        <Form candidates={candidates} />
      )}
    </>
  );
}

const pendingOf = (group: string): Candidate => ({
  value: `pending ${group}`,
  label: plain(`What waits for group ${group}`, 100),
  group,
  path: `/groups/${encodeURIComponent(group)}/pending/replay`,
});

const releaseOf = ({ id, serial, group, state, created_at }: Release): Candidate => ({
  value: id,
  label: plain(`Serial ${serial} of ${group}, ${state}, ${dateAndTime(created_at)}`, 120),
  group,
  path: `/releases/${encodeURIComponent(id)}/replay`,
});

function Form({ candidates }: { readonly candidates: readonly Candidate[] }) {
  const search = page.useSearch();
  const navigate = useNavigate({ from: '/replay' });
  const candidate = candidates.find(({ value }) => value === search.of) ?? candidates[0];
  const [source, setSource] = useState<string | null>('remembered');
  const [given, setGiven] = useState<Given>({ text: '', host: '', scheme: 'http' });
  const [node, setNode] = useState<string | null>(null);
  const run = useMutation({
    async mutationFn(): Promise<Replayed> {
      const requests = source === 'given' ? requestsIn(given.text, given.host, given.scheme) : {};
      const asked = { ...requests, list: MOST, ...(node !== null && { data_plane: node }) };
      const { body } = await write('POST', candidate?.path ?? '', asked, 'cluster');
      return parseReplayed(body);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    run.mutate();
  };
  const change = (act: () => void): void => {
    run.reset();
    act();
  };
  return (
    <Stack gap="md">
      <Paper withBorder p="lg" radius="md" component="form" onSubmit={submit} maw={760}>
        <Stack gap="md">
          <Select
            label="Try"
            data={candidates.map(({ value, label }) => ({ value, label }))}
            value={candidate?.value ?? null}
            onChange={(value) =>
              change(() => {
                setNode(null);
                void navigate({ search: value === null ? {} : { of: value }, replace: true });
              })
            }
            searchable
            limit={50}
            nothingFoundMessage="No release has this serial, group or state."
          />
          <Tabs value={source} onChange={(value) => change(() => setSource(value))}>
            <Tabs.List mb="md" aria-label="With which requests">
              <Tabs.Tab value="remembered">Requests that were served</Tabs.Tab>
              <Tabs.Tab value="given">Requests of your own</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="remembered">
              <Text size="sm" c="dimmed">
                The data plane remembers some of the requests of the last minutes, of every route, without bodies,
                queries and secrets (replay_sample).
              </Text>
            </Tabs.Panel>
            <Tabs.Panel value="given">
              <GivenRequests given={given} onChange={(next) => change(() => setGiven(next))} />
            </Tabs.Panel>
          </Tabs>
          <Asked group={candidate?.group ?? ''} asked={node} onAsk={(id) => change(() => setNode(id))} />
          <Group>
            <Button type="submit" loading={run.isPending} disabled={source === 'given' && given.text.trim() === ''}>
              Replay
            </Button>
          </Group>
        </Stack>
      </Paper>
      <div aria-live="polite">
        {run.error !== null && (
          <Alert color="red" variant="light" icon={<Icon name="alert" />} title="This cannot be told">
            <Text size="sm" className="hf-break">
              {plain(reasonOf(run.error), 1000)}
            </Text>
          </Alert>
        )}
        {run.data !== undefined && <ReplayOutcome replayed={run.data} />}
      </div>
    </Stack>
  );
}

/** Which data plane is asked, of those of the group that are connected. */
function Asked(props: {
  readonly group: string;
  readonly asked: string | null;
  readonly onAsk: (id: string | null) => void;
}) {
  const { group, asked, onAsk } = props;
  const { data = [] } = useQuery(dataPlanesQuery);
  const nodes = data.filter((node) => node.group === group && node.state === 'connected');
  return (
    <DataPlaneChoice
      nodes={nodes}
      chosen={nodes.some(({ id }) => id === asked) ? asked : null}
      onChoose={onAsk}
      otherwise="one that does not serve it yet"
      nothingFound="No data plane of the group that is connected has this name."
    />
  );
}
