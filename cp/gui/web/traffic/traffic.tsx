import { Button, Chip, Code, Group, SegmentedControl, SimpleGrid, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo } from 'react';
import { ButtonLink } from '../parts/links.tsx';
import { Empty, Foreign, failureOf, Loading, PageHead, Section, Unread } from '../parts/pieces.tsx';
import { Chart, type Line } from './chart.tsx';
import { type Level, SPANS, type Span, seriesQuery, totalsQuery } from './queries.ts';
import { LEVELS, nameOf, Subjects } from './subjects.tsx';
import { UpstreamsHealth } from './upstreams.tsx';
import { msText, rateText, seriesOf, type TrafficSeries, totalsOf } from './vitals.ts';

const page = getRouteApi('/traffic');

/** What becomes of requests: how many, how fast, how many fail, and whose. */
export function Traffic() {
  const search = page.useSearch();
  const navigate = page.useNavigate();
  const span: Span = search.span === 'day' ? 'day' : 'hour';
  const level = LEVELS.find(({ value }) => value === search.by)?.value ?? 'routes';
  const { only } = search;
  const of = useMemo(() => (only === undefined ? undefined : { level, id: only }), [level, only]);
  const series = useQuery(seriesQuery(span, of));
  const totals = useQuery(totalsQuery(span, level));
  const go = (next: { readonly span?: Span; readonly by?: Level; readonly only?: string | undefined }) => {
    const { only: chosen, ...rest } = { span, by: level, only, ...next };
    void navigate({ search: { ...rest, ...(chosen !== undefined && { only: chosen }) }, replace: true });
  };
  const rows = useMemo(() => (totals.data == null ? [] : totalsOf(totals.data)), [totals.data]);
  const lines = useMemo(() => (series.data == null ? null : seriesOf(series.data)), [series.data]);
  const failed = failureOf(series, totals);
  const none = series.data !== undefined && only === undefined && isSilent(lines) && rows.length === 0;
  const name = rows.find(({ id }) => id === only)?.name ?? only;
  return (
    <>
      <PageHead
        title="Traffic"
        actions={
          <SegmentedControl
            aria-label="Time"
            data={Object.entries(SPANS).map(([value, { label }]) => ({ value, label }))}
            value={span}
            onChange={(value) => go({ span: value === 'day' ? 'day' : 'hour' })}
          />
        }
      >
        What data planes tell of the requests they serve, some seconds after.
      </PageHead>
      <Stack gap="md">
        {failed.error !== null || series.data === undefined ? (
          <Unread {...failed} lines={8} />
        ) : lines === null || none ? (
          <NothingTold span={span} />
        ) : (
          <>
            {only !== undefined && (
              <Group gap="sm">
                <Text>
                  Only {LEVELS.find(({ value }) => value === level)?.one} <b>{nameOf(level, only, name ?? null)}</b>
                </Text>
                <Button size="compact-sm" variant="default" onClick={() => go({ only: undefined })}>
                  Show all requests
                </Button>
              </Group>
            )}
            <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
              <Section title="Requests per second">
                <Chart label="Requests per second" times={lines.times} lines={ratesOf(lines)} text={rateText} />
              </Section>
              <Section title="Latency">
                <Chart label="Latency" times={lines.times} lines={latenciesOf(lines)} text={msText} />
              </Section>
            </SimpleGrid>
            <Section
              title="What has most requests"
              actions={
                <Chip.Group
                  value={level}
                  onChange={(value) =>
                    go({ by: LEVELS.find((one) => one.value === value)?.value ?? 'routes', only: undefined })
                  }
                >
                  <Group gap={6} role="radiogroup" aria-label="By">
                    {LEVELS.map(({ value, label }) => (
                      <Chip key={value} value={value} size="xs">
                        {label}
                      </Chip>
                    ))}
                  </Group>
                </Chip.Group>
              }
            >
              {totals.data === undefined ? (
                <Loading lines={4} />
              ) : (
                <Subjects
                  level={level}
                  rows={rows}
                  seconds={SPANS[span].seconds}
                  chosen={only ?? null}
                  onChoose={(id) => go({ only: id === only ? undefined : id })}
                />
              )}
            </Section>
          </>
        )}
        <UpstreamsHealth />
      </Stack>
    </>
  );
}

function isSilent(lines: TrafficSeries | null): boolean {
  return lines === null || lines.rate.every((value) => value === 0);
}

function ratesOf({ rate, rate4xx, rate5xx }: TrafficSeries): readonly Line[] {
  return [
    { label: 'all', colors: ['#0b7285', '#22b8cf'], values: rate },
    { label: '4xx', colors: ['#b35900', '#fcc419'], values: rate4xx, dash: [5, 3] },
    { label: '5xx', colors: ['#c92a2a', '#ff8787'], values: rate5xx },
  ];
}

function latenciesOf({ p50, p99, upstreamP99 }: TrafficSeries): readonly Line[] {
  return [
    { label: 'p50', colors: ['#0b7285', '#22b8cf'], values: p50 },
    { label: 'p99', colors: ['#862e9c', '#da77f2'], values: p99 },
    { label: 'p99 of upstreams', colors: ['#5c6770', '#adb5bd'], values: upstreamP99, dash: [5, 3] },
  ];
}

function NothingTold({ span }: { readonly span: Span }) {
  return (
    <Empty
      icon="traffic"
      title={`No data plane has told of a request in the ${SPANS[span].label.toLowerCase()}`}
      action={
        <Group>
          <ButtonLink to="/data-planes" variant="default">
            Show data planes
          </ButtonLink>
          <ButtonLink to="/explain" variant="default">
            Explain a request
          </ButtonLink>
        </Group>
      }
    >
      Data planes tell where they are told to: give each <Code>cluster_telemetry_endpoint</Code>, the address of this
      control plane’s <Code>cluster_telemetry_listen</Code>, such as{' '}
      <Foreign text={`${window.location.hostname}:8006`} />. It needs no plugin. Requests show up here some twenty
      seconds after they were served.
    </Empty>
  );
}
