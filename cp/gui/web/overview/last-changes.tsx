import { Badge, Group, Stack, Text } from '@mantine/core';
import { useLive } from '../admin/live.ts';
import { singularOf } from '../config/kinds.ts';
import { TextLink } from '../parts/links.tsx';
import { Foreign, Moment, Section } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { Who } from '../parts/who.tsx';
import { after, type Propagation } from './propagation.ts';

/** The changes since the page was opened, each with how fast it came to whom. */
export function LastChanges() {
  const { changes } = useLive();
  return (
    <Section title="Last changes">
      {changes.length === 0 ? (
        <Text size="sm" c="dimmed">
          None since this page was opened. A change shows up here at once, with when it was published and when each data
          plane served it.{' '}
          <TextLink to="/changes" underline="always">
            What was written before
          </TextLink>
        </Text>
      ) : (
        <Stack gap="sm">
          {changes.slice(0, 8).map((change) => (
            <Change key={change.serial} change={change} />
          ))}
        </Stack>
      )}
    </Section>
  );
}

function Change({ change }: { readonly change: Propagation }) {
  const [first] = change.changes;
  const published = Object.values(change.published);
  const nodes = Object.entries(change.nodes);
  return (
    <div>
      <Group gap="xs">
        <Text fw={600} size="sm" className="hf-num">
          Serial {change.serial}
        </Text>
        <Text size="sm">
          {first === undefined ? 'nothing that is told' : `${first.operation} ${singularOf(first.entity)}`}
          {change.total > 1 && ` and ${change.total - 1} more`}
        </Text>
        <Text size="sm" c="dimmed">
          <Moment at={change.at} />, <Who by={change.by} />
        </Text>
      </Group>
      <Group gap={6} mt={4}>
        <Badge variant="light" color={published.length === 0 ? 'gray' : 'cyan'} tt="none" radius="sm">
          {published.length === 0 ? 'not published yet' : `published ${after(change, Math.min(...published))} ms`}
        </Badge>
        {nodes.slice(0, 12).map(([id, { hostname, at, reason }]) => (
          <Badge
            key={id}
            variant="light"
            color={reason === null ? 'teal' : 'red'}
            tt="none"
            radius="sm"
            title={reason === null ? plain(hostname) : plain(reason, 500)}
          >
            <Foreign text={hostname} most={30} /> {reason === null ? `${after(change, at)} ms` : 'refused'}
          </Badge>
        ))}
        {nodes.length > 12 && (
          <Text size="sm" c="dimmed">
            and {nodes.length - 12} more data planes
          </Text>
        )}
      </Group>
    </div>
  );
}
