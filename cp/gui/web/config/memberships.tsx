import { ActionIcon, Alert, Group, Select, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Row } from '../../../../shared/record.ts';
import { reasonOf, write } from '../admin/client.ts';
import { afterWrite } from '../admin/queries.ts';
import { Icon } from '../parts/icons.tsx';
import { Foreign, Section, Unread } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { tellOutcome } from '../shell/outcome.tsx';
import { titleOf } from './kinds.ts';
import { partsQuery, rowsQuery } from './queries.ts';

/** Membership of consumers in groups, seen from a group or from a consumer. */
interface Side {
  readonly title: string;
  /** What is listed and added, and what it is called in a body of the Admin API. */
  readonly slug: 'consumers' | 'consumer_groups';
  readonly argument: 'consumer' | 'group';
  /** Under which the list is. */
  readonly owner: 'consumers' | 'consumer_groups';
  readonly add: string;
  readonly none: string;
  /** What there is to do when there is nothing to add yet. */
  readonly nothing: string;
}

export const MEMBERS: Side = {
  title: 'Members',
  slug: 'consumers',
  argument: 'consumer',
  owner: 'consumer_groups',
  add: 'Add a consumer to this group',
  none: 'No consumer is in it yet: its plugins hold for nobody.',
  nothing: 'No such consumer outside this group',
};

export const GROUPS: Side = {
  title: 'Consumer groups',
  slug: 'consumer_groups',
  argument: 'group',
  owner: 'consumers',
  add: 'Add to a consumer group',
  none: 'It is in no group: no plugins of groups hold for it.',
  nothing: 'No such group that it is not in',
};

/** Who is in a group, or the groups somebody is in: to be added to and removed from, each at once. */
export function Memberships({ side, owner }: { readonly side: Side; readonly owner: Row }) {
  const client = useQueryClient();
  const { data, error, refetch } = useQuery(partsQuery(side.owner, String(owner.id), side.slug));
  const all = useQuery(rowsQuery(side.slug));
  const path = `/${side.owner}/${encodeURIComponent(String(owner.id))}/${side.slug}`;
  const change = useMutation({
    mutationFn: ({ row, joins }: { readonly row: Row; readonly joins: boolean }) =>
      joins
        ? write('POST', path, { [side.argument]: row.id })
        : write('DELETE', `${path}/${encodeURIComponent(String(row.id))}`),
    async onSuccess(written, { row, joins }) {
      tellOutcome(`${joins ? 'Added' : 'Removed'} ${plain(titleOf(row), 80)}`, written);
      await afterWrite(client);
    },
  });
  const members = new Set((data ?? []).map(({ id }) => id));
  const others = (all.data?.rows ?? []).filter(({ id }) => !members.has(id));
  return (
    <Section title={side.title}>
      {data === undefined ? (
        <Unread error={error} again={refetch} lines={2} />
      ) : data.length === 0 ? (
        <Text size="sm" c="dimmed">
          {side.none}
        </Text>
      ) : (
        data.map((row) => (
          <div key={String(row.id)} className="hf-part">
            <Icon name="consumers" size={16} className="hf-faint" />
            <Link className="hf-link" to="/config/$kind/$id" params={{ kind: side.slug, id: String(row.id) }}>
              <Foreign text={titleOf(row)} most={100} />
            </Link>
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-label={`Remove ${plain(titleOf(row), 80)}`}
              disabled={change.isPending}
              onClick={() => change.mutate({ row, joins: false })}
            >
              <Icon name="trash" size={14} />
            </ActionIcon>
          </div>
        ))
      )}
      {change.error !== null && (
        <Alert color="red" variant="light" role="alert" mt="sm">
          {plain(reasonOf(change.error), 1000)}
        </Alert>
      )}
      <Group mt="sm">
        <Select
          aria-label={side.add}
          placeholder={side.add}
          data={others.map((row) => ({ value: String(row.id), label: plain(titleOf(row), 80) }))}
          value={null}
          disabled={change.isPending}
          onChange={(id) => {
            const row = others.find((one) => one.id === id);
            if (row !== undefined) change.mutate({ row, joins: true });
          }}
          nothingFoundMessage={side.nothing}
          limit={200}
          searchable
          style={{ flex: '0 1 320px' }}
        />
      </Group>
    </Section>
  );
}
