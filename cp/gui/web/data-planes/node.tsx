import { Alert, Badge, Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import type { DataPlaneDetail } from '../../../admin/cluster/cluster-view.ts';
import { AdminError, reasonOf, write } from '../admin/client.ts';
import { afterWrite, dataPlaneQuery, groupsQuery } from '../admin/queries.ts';
import { Icon } from '../parts/icons.tsx';
import { ButtonLink } from '../parts/links.tsx';
import { Empty, Facts, Foreign, Labels, Moment, PageHead, Section, Short, Unread } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { dateAndTime } from '../parts/time.ts';
import { History } from './history.tsx';
import { StatePill } from './pill.tsx';
import { SeenUpstreams } from './seen-upstreams.tsx';
import { lagOf, STATES, stateOf } from './state.ts';

const page = getRouteApi('/data-planes/$id');

const HOSTS: Readonly<Record<DataPlaneDetail['host'], string>> = {
  node: 'Node',
  workerd: 'workerd',
  miniflare: 'Miniflare',
  cloudflare: 'Cloudflare',
};

/** All there is to know of one data plane. */
export function DataPlane() {
  const { id } = page.useParams();
  const { data: node, error, refetch } = useQuery(dataPlaneQuery(id));
  const { data: groups = [] } = useQuery(groupsQuery);
  if (error instanceof AdminError && error.status === 404) {
    return (
      <Empty
        alone
        icon="nodes"
        title="There is no such data plane"
        action={<ButtonLink to="/data-planes">Show all data planes</ButtonLink>}
      >
        It was forgotten, or has not been seen for longer than the control plane remembers.
      </Empty>
    );
  }
  if (node === undefined) return <Unread error={error} again={refetch} lines={8} />;
  const newest = groups.find(({ name }) => name === node.group)?.serial ?? null;
  const state = stateOf(node, newest);
  const lag = lagOf(node, newest) ?? 0;
  const expires = node.cert_details?.expiry_timestamp;
  return (
    <>
      <PageHead
        title={
          <Group gap="sm">
            <span className="hf-break">
              <Foreign text={node.hostname === '' ? node.id : node.hostname} />
            </span>
            <StatePill state={state} />
          </Group>
        }
        actions={
          <>
            <ButtonLink to="/traffic" search={{ by: 'nodes', only: node.id }} variant="default">
              Traffic
            </ButtonLink>
            <ButtonLink to="/explain" search={{ on: node.id }} variant="default">
              Explain a request
            </ButtonLink>
            <Forget node={node} />
          </>
        }
      >
        {STATES[state].meaning.replace(/^./, (letter) => letter.toUpperCase())}.
      </PageHead>
      <Stack gap="md">
        {node.rejection_reason !== null && (
          <Alert
            color="red"
            variant="light"
            icon={<Icon name="alert" />}
            title="It keeps its last config, because of this"
          >
            <Text size="sm" className="hf-break">
              {plain(node.rejection_reason, 4000)}
            </Text>
          </Alert>
        )}
        {node.refused_claim !== null && (
          <Alert
            color="orange"
            variant="light"
            icon={<Icon name="alert" />}
            title="Somebody else said to be this data plane, and was refused"
          >
            <Text size="sm" className="hf-break">
              {dateAndTime(node.refused_claim.at)}, from {plain(node.refused_claim.ip ?? 'an unknown address')}
              {node.refused_claim.hostname !== undefined && ` (${plain(node.refused_claim.hostname)})`}
              {node.refused_claim.certificate !== undefined &&
                `, with certificate ${plain(node.refused_claim.certificate)}`}
              . If that is this machine, installed anew: forget the data plane, and it can come back.
            </Text>
          </Alert>
        )}
        <Section title="Config">
          <Facts
            rows={[
              [
                'Serial',
                <span key="s" className="hf-num">
                  {node.serial ?? 'none'}
                  {lag > 0 && `, ${lag} behind ${newest}`}
                </span>,
              ],
              ['Hash', <Short key="h" text={node.config_hash} what="config hash" />],
              ['Group', <Foreign key="g" text={node.group} />],
              ['Sync status', node.sync_status],
              ['Last seen', <Moment key="l" at={node.last_seen} />],
            ]}
          />
        </Section>
        <Section title="Machine">
          <Facts
            rows={[
              ['Id', <Short key="i" text={node.id} most={36} what="id" />],
              ['Address', <Foreign key="a" text={node.ip} />],
              ['Runs on', HOSTS[node.host]],
              ['Version', <Foreign key="v" text={node.version ?? 'not told'} />],
              ['Labels', <Labels key="b" labels={node.labels} />],
              [
                'Certificate',
                expires === undefined ? (
                  'not known'
                ) : (
                  <span key="c">
                    expires <Moment at={expires} />
                  </span>
                ),
              ],
            ]}
          />
        </Section>
        <History steps={node.history} />
        {node.conflicts.length > 0 && (
          <Section title="Settings it cannot honour">
            <Stack gap="xs">
              {node.conflicts.map((conflict) => (
                <Text key={`${conflict.id} ${conflict.capability}`} size="sm" className="hf-break">
                  <b>{conflict.entity}</b> <Foreign text={conflict.name ?? conflict.id} />:{' '}
                  {plain(conflict.reason, 500)}
                </Text>
              ))}
            </Stack>
          </Section>
        )}
        <SeenUpstreams id={node.id} />
        <Section title="What it can do">
          <Names
            names={node.capabilities.map((name) => name.replaceAll('_', ' '))}
            none="It has told of nothing beyond HTTP."
          />
        </Section>
        <Section title={`Plugins it has (${Object.keys(node.plugins).length})`}>
          <Names names={Object.keys(node.plugins).sort()} none="It has told of none." />
        </Section>
      </Stack>
    </>
  );
}

function Names({ names, none }: { readonly names: readonly string[]; readonly none: string }) {
  if (names.length === 0) return <Text c="dimmed">{none}</Text>;
  return (
    <Group gap={6}>
      {names.map((name) => (
        <Badge key={name} variant="default" radius="sm" tt="none" fw={500}>
          <Foreign text={name} most={60} />
        </Badge>
      ))}
    </Group>
  );
}

function Forget({ node }: { readonly node: DataPlaneDetail }) {
  const [asking, ask] = useDisclosure();
  const client = useQueryClient();
  const navigate = useNavigate();
  const forget = useMutation({
    mutationFn: () => write('DELETE', `/clustering/data-planes/${encodeURIComponent(node.id)}`, undefined, 'cluster'),
    async onSuccess() {
      await navigate({ to: '/data-planes' });
      await afterWrite(client);
    },
  });
  return (
    <>
      <Button variant="default" leftSection={<Icon name="trash" size={16} />} onClick={ask.open}>
        Forget
      </Button>
      <Modal opened={asking} onClose={ask.close} title="Forget this data plane?">
        <Stack>
          <Text size="sm">
            Its record goes, and the key that its id belongs to, so that it can be installed anew. One that is running
            connects again by itself.
          </Text>
          {forget.error !== null && (
            <Alert color="red" variant="light">
              {reasonOf(forget.error)}
            </Alert>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={ask.close}>
              Keep it
            </Button>
            <Button color="red" loading={forget.isPending} onClick={() => forget.mutate()}>
              Forget it
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
