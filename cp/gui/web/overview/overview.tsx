import { Badge, Group, List, SimpleGrid, Stack, Text, ThemeIcon } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { dataPlanesQuery, expirationsQuery, groupsQuery, informationQuery, statusQuery } from '../admin/queries.ts';
import type { Group as DataPlaneGroup } from '../admin/shapes.ts';
import { StatePill } from '../data-planes/pill.tsx';
import { type NodeRow, type NodeState, rowsOf, STATES } from '../data-planes/state.ts';
import { Icon } from '../parts/icons.tsx';
import { TextLink } from '../parts/links.tsx';
import { Foreign, failureOf, PageHead, Section, Short, Unread } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { useNow } from '../parts/time.ts';
import { type Matter, mattersOf } from './attention.ts';
import { LastChanges } from './last-changes.tsx';
import { LiveSince } from './live-since.tsx';
import { TrafficStrip } from './traffic.tsx';

const ORDER: readonly NodeState[] = ['live', 'late', 'refused', 'empty', 'gone'];

/** What is live where, what is late or refused, and why. */
export function Overview() {
  const nodes = useQuery(dataPlanesQuery);
  const groups = useQuery(groupsQuery);
  const status = useQuery(statusQuery);
  const information = useQuery(informationQuery);
  const expirations = useQuery(expirationsQuery);
  const now = useNow(30);
  const rows = useMemo(() => rowsOf(nodes.data ?? [], groups.data ?? []), [nodes.data, groups.data]);
  const matters = useMemo(
    () => mattersOf(nodes.data ?? [], groups.data ?? [], status.data, now, expirations.data),
    [nodes.data, groups.data, status.data, now, expirations.data],
  );
  return (
    <>
      <PageHead title="Overview">
        {information.data === undefined ? (
          'What is live where.'
        ) : (
          <>
            Control plane <Foreign text={information.data.hostname} most={80} />,{' '}
            {Object.keys(information.data.plugins.available_on_server).length} plugins, compatible with Kong{' '}
            {information.data.version}.
          </>
        )}
      </PageHead>
      {nodes.data === undefined || groups.data === undefined ? (
        <Unread {...failureOf(nodes, groups)} lines={8} />
      ) : (
        <Stack gap="md">
          <Matters matters={matters} />
          <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
            <Section
              title="Data planes"
              actions={
                <TextLink to="/data-planes" size="sm">
                  Show all
                </TextLink>
              }
            >
              <Fleet rows={rows} />
            </Section>
            <Section title="Live config">
              <LiveConfig groups={groups.data} rows={rows} />
            </Section>
          </SimpleGrid>
          <TrafficStrip />
          <LastChanges />
        </Stack>
      )}
    </>
  );
}

function Matters({ matters }: { readonly matters: readonly Matter[] }) {
  if (matters.length === 0) {
    return (
      <Section title="Needs attention">
        <Group gap="sm" wrap="nowrap">
          <ThemeIcon variant="light" color="teal" radius="xl">
            <Icon name="check" size={16} />
          </ThemeIcon>
          <Text>Nothing is refused, withheld or about to expire.</Text>
        </Group>
      </Section>
    );
  }
  return (
    <Section
      title="Needs attention"
      actions={
        <Badge variant="light" color="gray">
          {matters.length}
        </Badge>
      }
    >
      <Stack gap="md">
        {matters.map(({ key, urgent, title, text, nodes, rows = [] }) => (
          <Group key={key} gap="sm" wrap="nowrap" align="flex-start">
            <ThemeIcon variant="light" color={urgent ? 'red' : 'orange'} radius="xl">
              <Icon name="alert" size={16} />
            </ThemeIcon>
            <div style={{ minWidth: 0 }}>
              <Text fw={600} className="hf-break">
                {plain(title)}
              </Text>
              <Text size="sm" c="dimmed" className="hf-break">
                {plain(text, 1000)}
              </Text>
              {nodes.length > 0 && (
                <List size="sm" mt={4} listStyleType="none" spacing={2} className="hf-break">
                  {nodes.slice(0, 5).map((node) => (
                    <List.Item key={node.id}>
                      <Link className="hf-link" to="/data-planes/$id" params={{ id: node.id }}>
                        <Foreign text={node.hostname === '' ? node.id : node.hostname} most={80} />
                      </Link>
                    </List.Item>
                  ))}
                  {nodes.length > 5 && <List.Item>and {nodes.length - 5} more</List.Item>}
                </List>
              )}
              {rows.length > 0 && (
                <List size="sm" mt={4} listStyleType="none" spacing={2} className="hf-break">
                  {rows.slice(0, 5).map((row) => (
                    <List.Item key={row.id}>
                      <Link className="hf-link" to="/config/$kind/$id" params={{ kind: row.kind, id: row.id }}>
                        <Foreign text={row.name} most={80} />
                      </Link>
                    </List.Item>
                  ))}
                  {rows.length > 5 && <List.Item>and {rows.length - 5} more</List.Item>}
                </List>
              )}
            </div>
          </Group>
        ))}
      </Stack>
    </Section>
  );
}

function Fleet({ rows }: { readonly rows: readonly NodeRow[] }) {
  if (rows.length === 0) {
    return (
      <Text c="dimmed">
        No data plane has connected yet.{' '}
        <TextLink to="/data-planes" underline="always">
          How to start one
        </TextLink>
      </Text>
    );
  }
  const counts = ORDER.map((state) => ({ state, count: rows.filter((row) => row.state === state).length })).filter(
    ({ count }) => count > 0,
  );
  return (
    <Stack gap="md">
      <div className="hf-bar" aria-hidden="true">
        {counts.map(({ state, count }) => (
          <div key={state} style={{ flexGrow: count, background: `var(--mantine-color-${STATES[state].color}-6)` }} />
        ))}
      </div>
      <Stack gap={6}>
        {counts.map(({ state, count }) => (
          <Group key={state} gap="sm" wrap="nowrap">
            <Text fw={650} w={48} ta="right" className="hf-num">
              {count}
            </Text>
            <StatePill state={state} />
            <Link className="hf-link hf-break" to="/data-planes" search={{ state }}>
              {STATES[state].meaning}
            </Link>
          </Group>
        ))}
      </Stack>
    </Stack>
  );
}

function LiveConfig({
  groups,
  rows,
}: {
  readonly groups: readonly DataPlaneGroup[];
  readonly rows: readonly NodeRow[];
}) {
  return (
    <Stack gap="sm">
      {groups.map(({ name, serial, config_hash: hash, publish, trouble }) => {
        const members = rows.filter(({ node }) => node.group === name);
        const live = members.filter(({ state }) => state === 'live').length;
        return (
          <Group key={name} justify="space-between" gap="xs">
            <div style={{ minWidth: 0 }}>
              <Group gap={6}>
                <Text fw={600}>
                  <Foreign text={name} most={60} />
                </Text>
                {publish === 'release' && (
                  <Badge variant="light" color="gray" tt="none" radius="sm">
                    by release
                  </Badge>
                )}
                {trouble !== null && (
                  <Badge variant="light" color="red" tt="none" radius="sm">
                    stopped
                  </Badge>
                )}
              </Group>
              <Text size="sm" c="dimmed">
                {members.length === 0 ? 'no data planes' : `${live} of ${members.length} data planes serve it`}
                {hash !== null && <LiveSince group={name} hash={hash} />}
              </Text>
            </div>
            <Group gap="xs">
              <Text className="hf-num">{serial === null ? 'nothing published' : `serial ${serial}`}</Text>
              {hash !== null && <Short text={hash} what="config hash" />}
            </Group>
          </Group>
        );
      })}
    </Stack>
  );
}
