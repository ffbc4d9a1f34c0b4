import { Button, Group, Stack, Table, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { Foreign } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { Sparkline } from '../parts/sparkline.tsx';
import type { Level } from './queries.ts';
import { msText, rateText, type SubjectTotals, shareText } from './vitals.ts';

/** How requests can be told apart. */
export const LEVELS = [
  { value: 'routes', label: 'Routes', one: 'route', none: 'no route' },
  { value: 'services', label: 'Services', one: 'service', none: 'no service' },
  { value: 'status_classes', label: 'Status', one: 'status', none: 'none' },
  { value: 'consumers', label: 'Consumers', one: 'consumer', none: 'nobody known' },
  { value: 'nodes', label: 'Data planes', one: 'data plane', none: 'none' },
  { value: 'serials', label: 'Configs', one: 'config of serial', none: 'none of a control plane' },
] as const satisfies readonly { value: Level; label: string; one: string; none: string }[];

/** What to call a subject; of what has been deleted its id is left. */
export function nameOf(level: Level, id: string, name: string | null): string {
  if (id === '*') return 'all others together';
  if (id === '') return LEVELS.find(({ value }) => value === level)?.none ?? 'none';
  return plain(name === null || name === '' ? id : name, 120);
}

/** Shares from which on a number is worth a look. */
const WORRYING = 0.01;

/** A table of those with most requests; one of them can be chosen. */
export function Subjects(props: {
  readonly level: Level;
  readonly rows: readonly SubjectTotals[];
  /** How long the time is that they are of. */
  readonly seconds: number;
  readonly chosen: string | null;
  readonly onChoose: (id: string) => void;
}) {
  const { level, rows, seconds, chosen, onChoose } = props;
  if (rows.length === 0) return <Text c="dimmed">Nothing has been told of in this time.</Text>;
  const title = LEVELS.find(({ value }) => value === level)?.one ?? level;
  return (
    <Stack gap="xs">
      <Table.ScrollContainer minWidth={0} type="native">
        <Table className="hf-tight" verticalSpacing={6} aria-label={`Requests by ${title}`}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{title.replace(/^./, (letter) => letter.toUpperCase())}</Table.Th>
              <Table.Th ta="right">Requests</Table.Th>
              <Table.Th ta="right" className="hf-wide">
                per second
              </Table.Th>
              <Table.Th ta="right" className="hf-wide">
                4xx
              </Table.Th>
              <Table.Th ta="right">5xx</Table.Th>
              <Table.Th ta="right" className="hf-wide">
                p50
              </Table.Th>
              <Table.Th ta="right">p99</Table.Th>
              <Table.Th className="hf-wide">Requests over time</Table.Th>
              <Table.Th pos="relative">
                <span className="hf-unseen">Charts</span>
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={row.id} {...(row.id === chosen && { bg: 'var(--hf-band)' })}>
                <Table.Td className="hf-break" miw={{ base: 88, sm: 150 }}>
                  <Subject level={level} row={row} />
                </Table.Td>
                <Figure>{row.requests.toLocaleString('en')}</Figure>
                <Figure wide>{rateText(row.requests / seconds)}</Figure>
                <Figure wide>{shareText(row.share4xx)}</Figure>
                <Figure>
                  <Text span inherit {...(row.share5xx >= WORRYING && { c: 'var(--mantine-color-error)', fw: 700 })}>
                    {shareText(row.share5xx)}
                  </Text>
                </Figure>
                <Figure wide>{msText(row.p50)}</Figure>
                <Figure>{msText(row.p99)}</Figure>
                <Table.Td className="hf-wide">
                  <Sparkline values={row.line} color="var(--mantine-color-anchor)" width={90} height={22} />
                </Table.Td>
                <Table.Td>
                  {row.id !== '' && row.id !== '*' && (
                    <Button
                      size="compact-xs"
                      variant={row.id === chosen ? 'filled' : 'default'}
                      aria-pressed={row.id === chosen}
                      aria-label={`Only ${title} ${nameOf(level, row.id, row.name)}`}
                      onClick={() => onChoose(row.id)}
                    >
                      Only
                    </Button>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Group>
        <Text size="sm" c="dimmed">
          {rows.length === 100 ? 'The 100 with most requests. ' : ''}Latencies are read from histograms, as if evenly
          spread within a bucket.
        </Text>
      </Group>
    </Stack>
  );
}

/** `wide`: where there is room for it. */
function Figure({ children, wide = false }: { readonly children: ReactNode; readonly wide?: boolean }) {
  return (
    <Table.Td ta="right" className={wide ? 'hf-num hf-wide' : 'hf-num'}>
      <span className="hf-nowrap">{children}</span>
    </Table.Td>
  );
}

function Subject({ level, row: { id, name } }: { readonly level: Level; readonly row: SubjectTotals }) {
  const text = nameOf(level, id, name);
  if (name === null || id === '' || id === '*') return <Foreign text={text} />;
  if (level === 'nodes') {
    return (
      <Link className="hf-link" to="/data-planes/$id" params={{ id }}>
        <Foreign text={text} />
      </Link>
    );
  }
  return (
    <Link className="hf-link" to="/config/$kind/$id" params={{ kind: level, id }}>
      <Foreign text={text} />
    </Link>
  );
}
