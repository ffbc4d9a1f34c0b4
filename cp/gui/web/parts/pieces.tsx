import {
  ActionIcon,
  Alert,
  Badge,
  Button,
  Code,
  CopyButton,
  Group,
  Paper,
  Skeleton,
  Stack,
  Text,
  Title,
  Tooltip,
} from '@mantine/core';
import type { ReactNode } from 'react';
import { reasonOf } from '../admin/client.ts';
import type { IconName } from './icon-paths.ts';
import { Icon } from './icons.tsx';
import { plain } from './plain.ts';
import { ago, dateAndTime, useNow } from './time.ts';

/** A text that somebody else wrote: on its own, whatever characters it has. */
export function Foreign({ text, most }: { readonly text: string; readonly most?: number }) {
  return <bdi>{plain(text, most)}</bdi>;
}

/** The head of a page. */
export function PageHead(props: {
  readonly title: ReactNode;
  readonly children?: ReactNode;
  readonly actions?: ReactNode;
}) {
  return (
    <Group justify="space-between" align="flex-start" gap="md" mb="lg">
      <div className="hf-head">
        <Title order={1} size="h2">
          {props.title}
        </Title>
        {props.children !== undefined && (
          <Text c="dimmed" mt={4} maw={720}>
            {props.children}
          </Text>
        )}
      </div>
      {props.actions !== undefined && <Group gap="xs">{props.actions}</Group>}
    </Group>
  );
}

/** What stands where there is nothing yet: what it would be, and what to do next. */
export function Empty(props: {
  readonly icon: IconName;
  readonly title: string;
  readonly children: ReactNode;
  readonly action?: ReactNode;
  /** It is all there is on the page. */
  readonly alone?: boolean;
}) {
  return (
    <Stack align="center" gap="xs" py={48} px="md" ta="center">
      <Icon name={props.icon} size={36} className="hf-faint" />
      <Title order={props.alone === true ? 1 : 2} size="h4">
        {props.title}
      </Title>
      <Text c="dimmed" maw={460}>
        {props.children}
      </Text>
      {props.action !== undefined && <Group mt="sm">{props.action}</Group>}
    </Stack>
  );
}

/** A part of a page with a heading of its own. */
export function Section(props: { readonly title: string; readonly actions?: ReactNode; readonly children: ReactNode }) {
  return (
    <Paper withBorder radius="md" p="md" component="section" aria-label={props.title}>
      <Group justify="space-between" mb="sm" gap="xs">
        <Title order={2} size="h5">
          {props.title}
        </Title>
        {props.actions}
      </Group>
      {props.children}
    </Paper>
  );
}

/** Why something cannot be shown, and a way to ask again. */
export function Failure({ error, again }: { readonly error: unknown; readonly again?: () => void }) {
  return (
    <Alert color="red" variant="light" icon={<Icon name="alert" />} title="This could not be read" role="alert">
      <Text size="sm" className="hf-break">
        {plain(reasonOf(error), 2000)}
      </Text>
      {again !== undefined && (
        <Button mt="sm" size="xs" variant="default" onClick={again}>
          Try again
        </Button>
      )}
    </Alert>
  );
}

/** What will be there in a moment. */
export function Loading({ lines = 4 }: { readonly lines?: number }) {
  return (
    <Stack gap="sm" role="status" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => `line ${line}`).map((key) => (
        <Skeleton key={key} height={22} radius="sm" />
      ))}
    </Stack>
  );
}

/** What stands where something has not been read: what will be there, or why it could not be. */
export function Unread(props: {
  readonly error: unknown;
  readonly again: () => unknown;
  readonly lines?: number | undefined;
}) {
  const { error, again, lines } = props;
  return error === null ? (
    <Loading {...(lines !== undefined && { lines })} />
  ) : (
    <Failure error={error} again={() => void again()} />
  );
}

interface Reading {
  readonly data: unknown;
  readonly error: unknown;
  readonly refetch: () => unknown;
}

/** Of what a page reads, the first that could not be, if any. */
export function failureOf(...readings: readonly Reading[]): { readonly error: unknown; readonly again: () => unknown } {
  const failed = readings.find(({ data, error }) => data === undefined && error !== null);
  return { error: failed?.error ?? null, again: () => failed?.refetch() };
}

/** A moment (seconds since 1970), in words; exactly when pointed at. */
export function Moment({ at }: { readonly at: number }) {
  const now = useNow();
  return (
    <Tooltip label={dateAndTime(at)}>
      <time dateTime={new Date(at * 1000).toISOString()}>{ago(at, now)}</time>
    </Tooltip>
  );
}

/** A hash or an id, as much as people compare, to be copied whole. */
export function Short({
  text,
  most = 8,
  what,
}: {
  readonly text: string;
  readonly most?: number;
  readonly what: string;
}) {
  return (
    <Group gap={2} wrap="nowrap" display="inline-flex">
      <Code title={text}>{text.slice(0, most)}</Code>
      <Copy text={text} what={what} />
    </Group>
  );
}

/** Copies a text. `what` is what it is, as in `Copy the id`. */
export function Copy({ text, what }: { readonly text: string; readonly what: string }) {
  return (
    <CopyButton value={text}>
      {({ copied, copy }) => (
        <ActionIcon
          variant="subtle"
          color="gray"
          size="sm"
          onClick={copy}
          aria-label={copied ? 'Copied' : `Copy the ${what}`}
        >
          <Icon name={copied ? 'check' : 'copy'} size={14} />
        </ActionIcon>
      )}
    </CopyButton>
  );
}

/** Names with their values, such as labels. */
export function Labels({ labels }: { readonly labels: Readonly<Record<string, string>> | null }) {
  const entries = Object.entries(labels ?? {});
  if (entries.length === 0)
    return (
      <Text span c="dimmed" size="sm">
        none
      </Text>
    );
  return (
    <Group gap={4}>
      {entries.map(([name, value]) => (
        <Badge key={name} variant="default" radius="sm" tt="none" fw={500} className="hf-badge">
          <Foreign text={`${name}=${value}`} most={60} />
        </Badge>
      ))}
    </Group>
  );
}

/** Names beside what they are, as a list of definitions. */
export function Facts({ rows }: { readonly rows: readonly (readonly [name: string, value: ReactNode])[] }) {
  return (
    <dl className="hf-facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
