import { Code, Group, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type Row, recordOrEmpty } from '../../../../shared/record.ts';
import { informationQuery } from '../admin/queries.ts';
import { TextLink } from '../parts/links.tsx';
import { Copy, Section } from '../parts/pieces.tsx';
import { callOf } from './call.ts';
import { rowsQuery } from './queries.ts';

/** How a route is called, as far as its first conditions and the plugins that let callers in tell. */
export function CallIt({ route }: { readonly route: Row }) {
  const { data, isPending: isAsking } = useQuery(informationQuery);
  const { data: plugins, isPending: isReading } = useQuery(rowsQuery('plugins'));
  // A line that lacks a key until plugins are known would be copied as it is.
  if (typeof route.expression === 'string' || isAsking || isReading) return null;
  const proxy = proxyOf(data?.configuration);
  const { command, needs } = callOf(route, plugins?.rows ?? [], proxy ?? 'http://<data plane>:8000');
  return (
    <Section title="Call it">
      <Text size="sm" c="dimmed" mb={6}>
        Through a data plane, once the route is live there:
      </Text>
      <Group gap={4} wrap="nowrap" align="flex-start">
        <Code block className="hf-break" style={{ whiteSpace: 'pre-wrap', flex: 1 }}>
          {command}
        </Code>
        <Copy text={command} what="curl command" />
      </Group>
      {(proxy === null || needs !== null) && (
        <Text size="sm" c="dimmed" mt={6}>
          {proxy === null && (
            <>
              <Code>{'<data plane>'}</Code> stands for the address of one of the{' '}
              <TextLink to="/data-planes" underline="always">
                data planes
              </TextLink>
              .{' '}
            </>
          )}
          {needs !== null && (
            <>
              <Code>{needs.word}</Code> stands for {needs.what} of one of the{' '}
              <TextLink to="/config/$kind" params={{ kind: 'consumers' }} underline="always">
                consumers
              </TextLink>
              .
            </>
          )}
        </Text>
      )}
    </Section>
  );
}

/** Where this control plane's own data plane listens; null: it has none. */
function proxyOf(configuration: Readonly<Row> | undefined): string | null {
  const { role, proxy_listen: listeners } = recordOrEmpty(configuration);
  const listen: unknown = Array.isArray(listeners) ? listeners[0] : null;
  if (role !== 'traditional' || typeof listen !== 'string' || listen === 'off') return null;
  const address = listen.split(' ')[0] ?? '';
  return `http://${address.replace(/^0\.0\.0\.0|^\[::\]/, window.location.hostname)}`;
}
