import { Badge, Button, Group, Stack, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { kindByName, singularOf } from '../config/kinds.ts';
import { COLORS } from '../parts/change-list.tsx';
import { ButtonLink } from '../parts/links.tsx';
import { Empty, Foreign, Moment, PageHead, Section, Unread } from '../parts/pieces.tsx';
import { dateAndTime } from '../parts/time.ts';
import { Who } from '../parts/who.tsx';
import { changesQuery, type NamedCommit } from './queries.ts';

/** Who wrote what, when, and with which serial. */
export function Changes() {
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(changesQuery);
  const commits = data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <>
      <PageHead
        title="Changes"
        actions={
          <ButtonLink to="/releases" variant="default">
            Show what data planes were given
          </ButtonLink>
        }
      >
        Who wrote what, by whichever way, the newest first. One serial is one write: all of it is live, or none.
      </PageHead>
      {data === undefined ? (
        <Unread error={error} again={refetch} lines={8} />
      ) : commits.length === 0 ? (
        <Empty
          icon="changes"
          title="Nothing has been written yet"
          action={
            <ButtonLink to="/config/$kind/new" params={{ kind: 'services' }}>
              New service
            </ButtonLink>
          }
        >
          Every change of the config is kept here, with its serial, when it was made and by whom.
        </Empty>
      ) : (
        <Section title="Writes">
          {commits.map((commit) => (
            <Commit key={`${commit.serial} ${commit.at}`} commit={commit} />
          ))}
          <Group mt="md">
            {hasNextPage ? (
              <Button variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
                Show older ones
              </Button>
            ) : (
              <Text size="sm" c="dimmed">
                The log reaches no further back: it keeps the last 100,000 changes of rows.
              </Text>
            )}
          </Group>
        </Section>
      )}
    </>
  );
}

function Commit({ commit: { serial, at, by, total, changes } }: { readonly commit: NamedCommit }) {
  return (
    <div className="hf-part">
      <Text size="sm" fw={650} className="hf-num" w={96}>
        serial {serial}
      </Text>
      <div className="hf-who">
        <Text size="sm" c="dimmed">
          {dateAndTime(at)} (<Moment at={at} />)
        </Text>
        <Text size="sm" c="dimmed" className="hf-break">
          <Who by={by} />
        </Text>
      </div>
      <Stack gap={4} style={{ flex: '1 1 260px', minWidth: 0 }}>
        {changes.map(({ entity, id, operation, name }) => (
          <Group key={`${entity} ${id} ${operation}`} gap="xs">
            <Badge variant="light" color={COLORS[operation]} tt="none" radius="sm">
              {operation}
            </Badge>
            <Text size="sm" c="dimmed">
              {singularOf(entity)}
            </Text>
            <What entity={entity} id={id} name={name} isGone={operation === 'delete'} />
          </Group>
        ))}
        {total > changes.length && (
          <Text size="sm" c="dimmed">
            {changes.length === 0
              ? 'no rows of the config'
              : `and ${(total - changes.length).toLocaleString('en')} more`}
          </Text>
        )}
        {total === 0 && (
          <Text size="sm" c="dimmed">
            nothing: the serial was moved on
          </Text>
        )}
      </Stack>
    </div>
  );
}

function What(props: {
  readonly entity: string;
  readonly id: string;
  readonly name: string | null;
  readonly isGone: boolean;
}) {
  const { entity, id, name, isGone } = props;
  const kind = kindByName(entity);
  const text = name === null ? <span title={id}>{id.slice(0, 8)}</span> : <Foreign text={name} most={100} />;
  // Rows under others are found by those, and what is gone is found by nobody.
  if (kind === undefined || kind.under !== undefined || isGone) {
    return (
      <Text size="sm" className="hf-break">
        {text}
      </Text>
    );
  }
  return (
    <Link className="hf-link hf-break" to="/config/$kind/$id" params={{ kind: kind.slug, id }}>
      {text}
    </Link>
  );
}
