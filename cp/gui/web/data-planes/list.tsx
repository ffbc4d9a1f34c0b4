import { Button, Chip, Code, Group, Stack, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useDeferredValue, useMemo, useState } from 'react';
import { dataPlanesQuery, groupsQuery } from '../admin/queries.ts';
import { FindInput } from '../parts/find-input.tsx';
import { Copy, Empty, Foreign, failureOf, Moment, PageHead, Unread } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { type Column, VirtualTable } from '../parts/virtual-table.tsx';
import { nodesTrafficQuery } from '../traffic/queries.ts';
import { msText, shareText, totalsOf } from '../traffic/vitals.ts';
import { StatePill } from './pill.tsx';
import { filtered, type NodeRow, type NodeState, rowsOf, type SortKey, STATES, sorted } from './state.ts';

const page = getRouteApi('/data-planes');

const COLUMNS: readonly Column<NodeRow, SortKey>[] = [
  {
    key: 'hostname',
    title: 'Name',
    width: 'minmax(110px, 2fr)',
    sort: 'hostname',
    cell: ({ node }) => (
      <Link className="hf-link" to="/data-planes/$id" params={{ id: node.id }} title={node.id}>
        <Foreign text={node.hostname === '' ? node.id : node.hostname} most={120} />
      </Link>
    ),
  },
  { key: 'state', title: 'State', width: '78px', sort: 'state', cell: ({ state }) => <StatePill state={state} /> },
  {
    key: 'serial',
    title: 'Serial',
    width: '72px',
    sort: 'serial',
    cell: ({ node, lag }) => (
      <span className="hf-num">
        {node.serial ?? '–'}
        {lag !== null && lag > 0 && <Text span c="dimmed" size="sm">{` (−${lag})`}</Text>}
      </span>
    ),
  },
  {
    key: 'p99',
    title: 'p99',
    width: '66px',
    sort: 'p99',
    wide: true,
    cell: ({ traffic }) => <span className="hf-num">{msText(traffic?.p99 ?? null)}</span>,
  },
  {
    key: 'share5xx',
    title: '5xx',
    width: '60px',
    sort: 'share5xx',
    wide: true,
    cell: ({ traffic }) => <span className="hf-num">{shareText(traffic?.share5xx ?? null)}</span>,
  },
  {
    key: 'group',
    title: 'Group',
    width: 'minmax(64px, 1fr)',
    sort: 'group',
    wide: true,
    cell: ({ node }) => <Foreign text={node.group} most={80} />,
  },
  {
    key: 'labels',
    title: 'Labels',
    width: 'minmax(88px, 3fr)',
    wide: true,
    cell: ({ node }) => {
      const text = Object.entries(node.labels ?? {})
        .map(([name, value]) => `${name}=${value}`)
        .join(', ');
      return text === '' ? (
        <Text span c="dimmed" size="sm">
          none
        </Text>
      ) : (
        <span title={plain(text, 1000)}>
          <Foreign text={text} />
        </span>
      );
    },
  },
  { key: 'ip', title: 'Address', width: '100px', wide: true, cell: ({ node }) => <Foreign text={node.ip} most={45} /> },
  {
    key: 'version',
    title: 'Version',
    width: '66px',
    sort: 'version',
    wide: true,
    cell: ({ node }) => <Foreign text={node.version ?? 'not told'} most={30} />,
  },
  {
    key: 'last_seen',
    title: 'Last seen',
    width: '118px',
    sort: 'last_seen',
    wide: true,
    cell: ({ node }) => <Moment at={node.last_seen} />,
  },
];

/** Every data plane there is. */
export function DataPlanes() {
  const nodes = useQuery(dataPlanesQuery);
  const groups = useQuery(groupsQuery);
  const { q = '', state: wanted } = page.useSearch();
  const navigate = page.useNavigate();
  const [sort, setSort] = useState<{ by: SortKey; descending: boolean }>({ by: 'state', descending: false });
  const narrow = useMediaQuery('(max-width: 700px)') ?? false;
  const state = isState(wanted) ? wanted : null;
  const words = useDeferredValue(q);
  const traffic = useQuery(nodesTrafficQuery);
  const served = useMemo(
    () => new Map((traffic.data == null ? [] : totalsOf(traffic.data)).map((one) => [one.id, one])),
    [traffic.data],
  );
  const rows = useMemo(() => rowsOf(nodes.data ?? [], groups.data ?? [], served), [nodes.data, groups.data, served]);
  const shown = useMemo(
    () => sorted(filtered(rows, words, state), sort.by, sort.descending),
    [rows, words, state, sort],
  );
  const find = (next: { q?: string; state?: string }) => {
    const search = { q, ...(state !== null && { state }), ...next };
    void navigate({
      search: Object.fromEntries(Object.entries(search).filter(([, value]) => value !== '')),
      replace: true,
    });
  };
  return (
    <>
      <PageHead title="Data planes">
        What each data plane serves, and what keeps it from serving the newest config. p99 and 5xx are those of the last
        hour.
      </PageHead>
      {nodes.data === undefined || groups.data === undefined ? (
        <Unread {...failureOf(nodes, groups)} lines={8} />
      ) : rows.length === 0 ? (
        <NoDataPlane />
      ) : (
        <Stack gap="md">
          <Group gap="sm">
            <FindInput
              aria-label="Find data planes"
              placeholder="Name, address, or label such as region=eu"
              words={q}
              onFind={(q) => find({ q })}
            />
            <Chip.Group
              value={state ?? 'all'}
              onChange={(value) => find({ state: value === 'all' ? '' : String(value) })}
            >
              <Group gap={6}>
                <Chip value="all" size="xs">{`All ${rows.length}`}</Chip>
                {STATE_NAMES.map((name) => {
                  const count = rows.filter((row) => row.state === name).length;
                  return count === 0 && name !== state ? null : (
                    <Chip key={name} value={name} size="xs">{`${STATES[name].label} ${count}`}</Chip>
                  );
                })}
              </Group>
            </Chip.Group>
          </Group>
          {shown.length === 0 ? (
            <Empty
              icon="search"
              title="No data plane fits"
              action={
                <Button variant="default" onClick={() => find({ q: '', state: '' })}>
                  Show all
                </Button>
              }
            >
              Of {rows.length} data planes none has all of these words and this state.
            </Empty>
          ) : (
            <VirtualTable
              label="Data planes"
              rows={shown}
              columns={COLUMNS}
              keyOf={({ node }) => node.id}
              narrow={narrow}
              sorting={{
                ...sort,
                onSort: (by) => setSort((now) => ({ by, descending: now.by === by && !now.descending })),
              }}
            />
          )}
        </Stack>
      )}
    </>
  );
}

const STATE_NAMES = ['refused', 'late', 'empty', 'gone', 'live'] as const satisfies readonly NodeState[];

const isState = (text: string | undefined): text is NodeState => STATE_NAMES.some((name) => name === text);

const START = [
  'HOLDFAST_ROLE=data_plane',
  'HOLDFAST_CLUSTER_CONTROL_PLANE=<this host>:8005',
  'HOLDFAST_CLUSTER_CERT=keys/cluster.crt',
  'HOLDFAST_CLUSTER_CERT_KEY=keys/cluster.key',
  'HOLDFAST_BUNDLE_TRUSTED_KEYS=keys/bundle-keys.json',
  'npx --no holdfast start',
].join(' \\\n');

function NoDataPlane() {
  return (
    <Empty icon="nodes" title="No data plane has connected yet" action={<Copy text={START} what="command" />}>
      Start one with the files that this control plane has from <Code>holdfast hybrid gen_cert --dir keys</Code>, but
      for the signing key. It shows up here by itself as soon as it is linked.
      <Code block mt="md" ta="left" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
        {START}
      </Code>
    </Empty>
  );
}
