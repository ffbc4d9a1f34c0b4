import { Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { groupsQuery } from '../admin/queries.ts';
import { ButtonLink } from '../parts/links.tsx';
import { failureOf, PageHead, Section, Unread } from '../parts/pieces.tsx';
import { Compare } from './compare.tsx';
import { Pending } from './pending.tsx';
import { releasesQuery } from './queries.ts';
import { OneRelease } from './release.tsx';

/** What waits to be released, what is on its way, and what was released. */
export function Releases() {
  const groups = useQuery(groupsQuery);
  const releases = useQuery(releasesQuery);
  const waiting = (groups.data ?? []).filter(({ publish }) => publish === 'release');
  return (
    <>
      <PageHead title="Releases">
        Groups that are published by release get what is written when it is released: at once, or ring by ring, and
        back.
      </PageHead>
      {groups.data === undefined || releases.data === undefined ? (
        <Unread {...failureOf(groups, releases)} lines={6} />
      ) : (
        <Stack gap="md">
          {waiting.length === 0 && <AllAtOnce />}
          {waiting.map(({ name }) => (
            <Pending key={name} group={name} />
          ))}
          <Section title="Releases, the newest first">
            {releases.data.length === 0 ? (
              <Text size="sm" c="dimmed">
                None yet.
              </Text>
            ) : (
              <Stack gap="md">
                {releases.data.map((release) => (
                  <OneRelease key={release.id} release={release} />
                ))}
              </Stack>
            )}
          </Section>
          {releases.data.length > 1 && <Compare releases={releases.data} />}
        </Stack>
      )}
    </>
  );
}

/** Nothing waits to be released, and what to do so that something does. */
function AllAtOnce() {
  return (
    <Section
      title="Everything is published at once"
      actions={
        <ButtonLink to="/config/$kind" params={{ kind: 'groups' }} variant="default" size="xs">
          Data plane groups
        </ButtonLink>
      }
    >
      <Text size="sm">
        Set “Publish” of a data plane group to release, and what is written waits here until you release it. A group
        called default has all data planes that are in no other.
      </Text>
    </Section>
  );
}
