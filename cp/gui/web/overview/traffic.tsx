import { SimpleGrid, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { TextLink } from '../parts/links.tsx';
import { Section, Unread } from '../parts/pieces.tsx';
import { Sparkline } from '../parts/sparkline.tsx';
import { seriesQuery } from '../traffic/queries.ts';
import { msText, rateText, seriesOf, shareText, summaryOf } from '../traffic/vitals.ts';

/** The last hour of requests in four lines. */
export function TrafficStrip() {
  const { data, error, refetch } = useQuery(seriesQuery('hour'));
  const series = useMemo(() => (data == null ? null : seriesOf(data)), [data]);
  const isSilent = series === null || series.rate.every((rate) => rate === 0);
  return (
    <Section
      title="Traffic of the last hour"
      actions={
        <TextLink to="/traffic" size="sm">
          Show traffic
        </TextLink>
      }
    >
      {data === undefined ? (
        <Unread error={error} again={refetch} lines={2} />
      ) : isSilent ? (
        <Text size="sm" c="dimmed">
          No data plane has told of a request.{' '}
          <TextLink to="/traffic" size="sm" underline="always">
            How they come to tell
          </TextLink>
        </Text>
      ) : (
        <Lines series={series} />
      )}
    </Section>
  );
}

function Lines({ series }: { readonly series: ReturnType<typeof seriesOf> }) {
  const now = summaryOf(series);
  const share = series.rate5xx.map((failed, at) => {
    const all = series.rate[at] ?? 0;
    return all === 0 ? null : failed / all;
  });
  const lines = [
    ['Requests per second', now.rate === null ? '–' : rateText(now.rate), series.rate, 'anchor'],
    ['Answered 5xx', shareText(now.share5xx), share, 'error'],
    ['p50', msText(now.p50), series.p50, 'anchor'],
    ['p99', msText(now.p99), series.p99, 'anchor'],
  ] as const;
  return (
    <SimpleGrid cols={{ base: 2, md: 4 }} spacing="lg">
      {lines.map(([name, value, values, color]) => (
        <div key={name}>
          <Text size="sm" c="dimmed">
            {name}
          </Text>
          <Text fw={650} size="lg" className="hf-num" mb={4}>
            {value}
          </Text>
          <Sparkline values={values} color={`var(--mantine-color-${color})`} height={32} stretch />
        </div>
      ))}
    </SimpleGrid>
  );
}
