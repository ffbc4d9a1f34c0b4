import { Badge, Button, Group, Stack, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useDeferredValue, useMemo } from 'react';
import type { Row } from '../../../../shared/record.ts';
import { FindInput } from '../parts/find-input.tsx';
import { Icon } from '../parts/icons.tsx';
import { ButtonLink } from '../parts/links.tsx';
import { Empty, Foreign, PageHead, Unread } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { type Column, VirtualTable } from '../parts/virtual-table.tsx';
import { NothingHere } from '../shell/nothing-here.tsx';
import { type Kind, kindByField, kindBySlug, referredId, titleOf } from './kinds.ts';
import { MOST, rowsQuery } from './queries.ts';
import { inSentence, labelOf } from './words.ts';

const page = getRouteApi('/config/$kind');

/** The rows of a kind. */
export function EntityList() {
  const { kind: slug } = page.useParams();
  const kind = kindBySlug(slug);
  return kind === undefined || kind.under !== undefined ? <NothingHere /> : <Rows key={slug} kind={kind} />;
}

function Rows({ kind }: { readonly kind: Kind }) {
  const { q = '', tag = '' } = page.useSearch();
  const navigate = page.useNavigate();
  const { data, error, refetch } = useQuery(rowsQuery(kind.slug, tag));
  const narrow = useMediaQuery('(max-width: 700px)') ?? false;
  const words = useDeferredValue(q.toLowerCase());
  const searched = useMemo(() => (data?.rows ?? []).map((row) => ({ row, text: textOf(row) })), [data]);
  const shown = useMemo(
    () => searched.filter(({ text }) => words.split(/\s+/).every((word) => text.includes(word))).map(({ row }) => row),
    [searched, words],
  );
  const columns = useMemo(() => columnsOf(kind), [kind]);
  const find = (next: { q?: string; tag?: string }) =>
    void navigate({
      search: Object.fromEntries(Object.entries({ q, tag, ...next }).filter(([, value]) => value !== '')),
      replace: true,
    });
  const create = (
    <ButtonLink to="/config/$kind/new" params={{ kind: kind.slug }} leftSection={<Icon name="plus" size={16} />}>
      New {kind.singular}
    </ButtonLink>
  );
  const isEmpty = data !== undefined && data.rows.length === 0 && tag === '';
  return (
    <>
      <PageHead title={kind.plural} actions={isEmpty ? undefined : create}>
        {isEmpty ? undefined : kind.purpose}
      </PageHead>
      {data === undefined ? (
        <Unread error={error} again={refetch} lines={8} />
      ) : isEmpty ? (
        <Empty icon={kind.icon} title={`No ${inSentence(kind.plural)} yet`} action={create}>
          {kind.purpose}
        </Empty>
      ) : (
        <Stack gap="md">
          <Group gap="sm">
            <FindInput
              aria-label={`Find ${inSentence(kind.plural)}`}
              placeholder={`Find in ${data.rows.length.toLocaleString('en')} ${data.rows.length === 1 ? kind.singular : inSentence(kind.plural)}`}
              words={q}
              onFind={(q) => find({ q })}
            />
            {tag !== '' && (
              <Button
                variant="default"
                size="sm"
                rightSection={<Icon name="close" size={14} />}
                onClick={() => find({ tag: '' })}
                aria-label={`No longer only those with tag ${plain(tag, 40)}`}
              >
                {plain(tag, 40)}
              </Button>
            )}
          </Group>
          {!data.complete && (
            <Text size="sm" c="dimmed">
              These are the first {MOST.toLocaleString('en')}. Choose a tag to see others.
            </Text>
          )}
          {shown.length === 0 ? (
            <Empty
              icon="search"
              title={`No ${kind.singular} fits`}
              action={
                <Button variant="default" onClick={() => find({ q: '', tag: '' })}>
                  Show all
                </Button>
              }
            >
              None has all of these words.
            </Empty>
          ) : (
            <VirtualTable
              label={kind.plural}
              rows={shown}
              columns={columns}
              keyOf={(row) => String(row.id)}
              narrow={narrow}
            />
          )}
        </Stack>
      )}
    </>
  );
}

/** What rows are found by: everything short in them but secrets. */
function textOf(row: Readonly<Row>): string {
  const texts = Object.entries(row).flatMap(([name, value]) => {
    if (typeof value === 'string') return /secret|password|^key$|private/.test(name) ? [] : [value.slice(0, 300)];
    if (Array.isArray(value)) return value.filter((one) => typeof one === 'string').map((one) => one.slice(0, 300));
    return [];
  });
  return texts.join('\n').toLowerCase();
}

function columnsOf(kind: Kind): readonly Column<Row, string>[] {
  const name: Column<Row, string> = {
    key: 'name',
    title: 'Name',
    width: 'minmax(150px, 2fr)',
    cell: (row) => (
      <Link
        className="hf-link"
        to="/config/$kind/$id"
        params={{ kind: kind.slug, id: String(row.id) }}
        title={plain(titleOf(row), 300)}
      >
        <Foreign text={titleOf(row)} most={120} />
      </Link>
    ),
  };
  return [
    name,
    ...kind.columns.map((field, at) => ({
      key: field,
      title: labelOf(field),
      width: field === 'port' || field === 'enabled' || field === 'protocol' ? '90px' : 'minmax(90px, 1.5fr)',
      wide: at > 0,
      cell: (row: Row) => (field === 'scope' ? <Scope plugin={row} /> : <Cell field={field} value={row[field]} />),
    })),
  ];
}

const SCOPES = ['service', 'route', 'consumer', 'consumer_group'] as const;

/** What a plugin is for: one that is for nothing in particular is for all requests. */
function Scope({ plugin }: { readonly plugin: Readonly<Row> }) {
  const scopes = SCOPES.flatMap((field) => {
    const id = referredId(plugin[field]);
    return id === null ? [] : [{ field, id }];
  });
  if (scopes.length === 0) return 'all requests';
  return scopes.map(({ field, id }, at) => (
    <span key={field}>
      {at > 0 && ', '}
      {inSentence(labelOf(field))} <Reference field={field} id={id} />
    </span>
  ));
}

/** A value in as few words as it takes. */
function Cell({ field, value }: { readonly field: string; readonly value: unknown }) {
  const nothing = (
    <Text span c="dimmed" size="sm" aria-label="none">
      –
    </Text>
  );
  if (value === null || value === undefined) return nothing;
  if (field === 'enabled')
    return value === true ? (
      'yes'
    ) : (
      <Badge variant="light" color="gray" tt="none" radius="sm">
        off
      </Badge>
    );
  if (field === 'tags' && Array.isArray(value)) {
    return value.length === 0 ? nothing : <Foreign text={value.join(', ')} most={120} />;
  }
  if (Array.isArray(value)) return value.length === 0 ? nothing : <Foreign text={value.join(', ')} most={160} />;
  const id = referredId(value);
  if (id !== null) return <Reference field={field} id={id} />;
  return <Foreign text={typeof value === 'object' ? JSON.stringify(value) : String(value)} most={160} />;
}

/** The name of what a row refers to, where it has been read already or is quick to be. */
function Reference({ field, id }: { readonly field: string; readonly id: string }) {
  const kind = kindByField(field);
  const { data } = useQuery({
    ...rowsQuery(kind?.slug ?? ''),
    enabled: kind !== undefined,
    staleTime: 60_000,
    refetchInterval: false,
  });
  const row = data?.rows.find((one) => one.id === id);
  return (
    <Link className="hf-link" to="/config/$kind/$id" params={{ kind: kind?.slug ?? '', id }}>
      <Foreign text={row === undefined ? id.slice(0, 8) : titleOf(row)} most={80} />
    </Link>
  );
}
