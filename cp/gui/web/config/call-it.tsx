import { Code, Group, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { Row } from '../../../../shared/record.ts';
import { informationQuery } from '../admin/queries.ts';
import { Copy, Section } from '../parts/pieces.tsx';

/** How a route is called, as far as its first conditions tell. */
export function CallIt({ route }: { readonly route: Row }) {
  const { data } = useQuery(informationQuery);
  const first = (value: unknown): string | null =>
    Array.isArray(value) && typeof value[0] === 'string' ? value[0] : null;
  if (typeof route.expression === 'string') return null;
  const path = first(route.paths);
  const [host, method] = [first(route.hosts), first(route.methods)];
  const words = [
    'curl -i',
    ...(method === null || method === 'GET' ? [] : [`-X ${method}`]),
    ...(host === null ? [] : [`-H 'host: ${host.replaceAll("'", '')}'`]),
    `'${proxyOf(data?.configuration)}${path === null || path.startsWith('~') ? '/' : path.replaceAll("'", '')}'`,
  ];
  const command = words.join(' ');
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
    </Section>
  );
}

/** Where this control plane's own data plane listens; what stands for it where it has none. */
function proxyOf(configuration: Readonly<Row> | undefined): string {
  const listen: unknown = Array.isArray(configuration?.proxy_listen) ? configuration.proxy_listen[0] : null;
  if (configuration?.role !== 'traditional' || typeof listen !== 'string' || listen === 'off')
    return 'http://<data plane>:8000';
  const address = listen.split(' ')[0] ?? '';
  return `http://${address.replace(/^0\.0\.0\.0|^\[::\]/, window.location.hostname)}`;
}
