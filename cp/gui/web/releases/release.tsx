import { Alert, Badge, Button, Group, List, Modal, Progress, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { reasonOf, write } from '../admin/client.ts';
import { afterWrite } from '../admin/queries.ts';
import { ChangeList } from '../parts/change-list.tsx';
import { Icon } from '../parts/icons.tsx';
import { ButtonLink } from '../parts/links.tsx';
import { Foreign, Moment, Unread } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { dateAndTime } from '../parts/time.ts';
import { tellOutcome } from '../shell/outcome.tsx';
import { msText, shareText } from '../traffic/vitals.ts';
import { releaseQuery } from './queries.ts';
import { type Figures, gatesText, ORDERS, orderBody, ordersOf, type Release, ringText } from './steps.ts';

const COLORS: Readonly<Record<Release['state'], string>> = {
  scheduled: 'gray',
  rolling: 'cyan',
  paused: 'yellow',
  live: 'teal',
  replaced: 'gray',
  aborted: 'red',
  published: 'gray',
};

/** A release: where it is, what its gates see, and what can be asked of it. */
export function OneRelease({ release }: { readonly release: Release }) {
  const [opened, show] = useDisclosure();
  const [asking, ask] = useDisclosure();
  const client = useQueryClient();
  const order = useMutation({
    mutationFn: (name: string) => write('POST', `/releases/${release.id}/${name}`, orderBody(name, release), 'cluster'),
    async onSuccess(written, name) {
      tellOutcome(`${ORDERS[name] ?? name}: release of ${release.group}`, { ...written, serial: null });
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
        {state === 'scheduled' && release.at !== null && <Text size="sm">begins {dateAndTime(release.at)}</Text>}
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
      {(state === 'rolling' || state === 'paused' || state === 'scheduled') && <Rings release={release} />}
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
        <ButtonLink to="/replay" search={{ of: release.id }} variant="default" size="compact-sm">
          Replay requests
        </ButtonLink>
        {ordersOf(release).map((name) => (
          <Button
            key={name}
            variant="default"
            size="compact-sm"
            loading={order.isPending && order.variables === name}
            onClick={() => (state === 'published' ? ask.open() : order.mutate(name))}
          >
            {ORDERS[name]}
          </Button>
        ))}
      </Group>
      <Modal opened={asking} onClose={ask.close} title="Go back to this?">
        <Text size="sm">
          What is written goes to this group at once. Going back sets its “Publish” to release, or the next write would
          undo it: its data planes get what they had then, and what is written waits on this page.
        </Text>
        <Group justify="flex-end" mt="md">
          <Button variant="default" onClick={ask.close}>
            Leave it
          </Button>
          <Button
            onClick={() => {
              ask.close();
              order.mutate('rollback');
            }}
          >
            Go back
          </Button>
        </Group>
      </Modal>
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

/** The rings of a release on its way, and what the gates of the one it is at see. */
function Rings({ release: { id, strategy, ring, state } }: { readonly release: Release }) {
  const { data } = useQuery({ ...releaseQuery(id), refetchInterval: 2_000, enabled: state !== 'scheduled' });
  return (
    <>
      {strategy.length > 0 && (
        <List type="ordered" size="sm" mt={6} spacing={2}>
          {strategy.map((one, place) => (
            <List.Item key={`${place} ${ringText(one)}`} fw={place + 1 === ring ? 650 : 400}>
              <span className="hf-break">{plain(ringText(one), 300)}</span>{' '}
              <Text span size="sm" c="dimmed" fw={400}>
                {gatesText(one)}
              </Text>
            </List.Item>
          ))}
        </List>
      )}
      {data?.figures != null && <Seen figures={data.figures} />}
    </>
  );
}

function Seen({ figures }: { readonly figures: Figures }) {
  const { nodes, nodes_serving: serving, nodes_gone: gone, nodes_refusing: refusing, nodes_unable: unable } = figures;
  const { ring, others, waits_for: waits } = figures;
  const served = ({ requests, status_5xx: failed, latency_p99_ms: p99 }: Figures['ring']) =>
    requests === 0
      ? 'no requests'
      : `${requests.toLocaleString('en')} requests, ${shareText(failed / requests)} 5xx, p99 ${msText(p99)}`;
  return (
    <div aria-live="polite">
      <Text size="sm" mt={6} className="hf-num">
        {serving} of {nodes} data planes have it{gone > 0 && `, ${gone} left since it began`}
        {refusing > 0 && `, ${refusing} refuse it`}
        {unable > 0 && `, ${unable} cannot split their requests and keep the config before`}. With it: {served(ring)}.
        With the config before: {served(others)}.
      </Text>
      {waits.length > 0 && (
        <Text size="sm" c="dimmed" className="hf-num">
          The next ring waits for {waits.join(', ')}.
        </Text>
      )}
    </div>
  );
}

/** What data planes get by it that do not have it. */
function Detail({ id }: { readonly id: string }) {
  const { data, error, refetch } = useQuery(releaseQuery(id));
  if (data === undefined) return <Unread error={error} again={refetch} lines={3} />;
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
