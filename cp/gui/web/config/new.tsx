import { Paper, Select, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { Row } from '../../../../shared/record.ts';
import { TextLink } from '../parts/links.tsx';
import { Foreign, PageHead, Unread } from '../parts/pieces.tsx';
import { NothingHere } from '../shell/nothing-here.tsx';
import { Editor } from './editor.tsx';
import { type Kind, kindByField, kindBySlug, referredId } from './kinds.ts';
import { PluginChoice } from './plugin-choice.tsx';
import { wordsOf } from './plugin-words.ts';
import { fieldsQuery } from './queries.ts';

const page = getRouteApi('/config/$kind/new');

/** Makes a row, perhaps for another one: `?for=service:<id>`. */
export function NewEntity() {
  const { kind: slug } = page.useParams();
  const { plugin } = page.useSearch();
  const scope = page.useSearch().for;
  const kind = kindBySlug(slug);
  if (kind === undefined) return <NothingHere />;
  const [field = '', id = ''] = scope?.split(':') ?? [];
  const given = scope === undefined ? {} : { [field]: { id } };
  const isChoice = kind.name === 'plugins' && plugin === undefined;
  return (
    <>
      <PageHead
        title={
          plugin === undefined ? (
            `New ${kind.singular}`
          ) : (
            <>
              New plugin: <Foreign text={plugin} most={80} />
            </>
          )
        }
      >
        {plugin === undefined ? kind.purpose : wordsOf(plugin).text}{' '}
        {plugin !== undefined && (
          <TextLink
            to="/config/$kind/new"
            params={{ kind: 'plugins' }}
            search={scope === undefined ? {} : { for: scope }}
            underline="always"
          >
            Choose another one
          </TextLink>
        )}
      </PageHead>
      {isChoice ? (
        <PluginChoice scope={scope === undefined ? {} : { for: scope }} />
      ) : (
        <NewForm key={`${slug} ${plugin} ${scope}`} kind={kind} given={given} plugin={plugin ?? null} />
      )}
    </>
  );
}

function NewForm({
  kind,
  given,
  plugin,
}: {
  readonly kind: Kind;
  readonly given: Readonly<Row>;
  readonly plugin: string | null;
}) {
  const navigate = useNavigate();
  const search = page.useSearch();
  const isVault = kind.name === 'vaults';
  const named = isVault ? (search.vault ?? 'env') : plugin;
  const { data: fields, error, refetch } = useQuery(fieldsQuery(kind, named));
  const scope = JSON.stringify(given);
  const whole = useMemo<Row>(
    () => ({ ...JSON.parse(scope), ...(named === null ? {} : { name: named }) }),
    [scope, named],
  );
  if (fields === undefined) return <Unread error={error} again={refetch} lines={8} />;
  const toRow = (row: Row) => {
    const [owner] = Object.entries(given);
    const ownerId = owner === undefined ? null : referredId(owner[1]);
    const back = owner === undefined ? undefined : kindByField(owner[0]);
    // What was made for another row is seen there.
    if (back !== undefined && ownerId !== null)
      void navigate({ to: '/config/$kind/$id', params: { kind: back.slug, id: ownerId } });
    else
      void navigate({
        to: '/config/$kind/$id',
        params: { kind: kind.slug, id: String(row.id) },
        search: parentOf(kind, row),
      });
  };
  return (
    <Paper withBorder p="lg" radius="md" maw={760}>
      <Stack gap="md">
        {isVault && (
          <Select
            label="Kind of vault"
            data={VAULTS}
            value={named}
            onChange={(vault) =>
              vault !== null &&
              void navigate({ to: '/config/$kind/new', params: { kind: 'vaults' }, search: { vault } })
            }
          />
        )}
        <Editor
          key={String(named)}
          kind={kind}
          fields={fields}
          stored={null}
          given={whole}
          place={`${kind.slug}/new ${scope} ${named ?? ''}`}
          onSaved={toRow}
        />
      </Stack>
    </Paper>
  );
}

const VAULTS = ['env'];

/** What the address of a row says besides, where it is under another one. */
export function parentOf(kind: Kind, row: Readonly<Row>): { under?: string } {
  const parent = kind.under === undefined ? null : referredId(row[kind.under.field]);
  return parent === null ? {} : { under: parent };
}
