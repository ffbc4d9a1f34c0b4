import { Alert, Badge, Button, Code, Group, Modal, Paper, Stack, Tabs, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import type { Row } from '../../../../shared/record.ts';
import { addressOf } from '../admin/address.ts';
import { AdminError, reasonOf, write } from '../admin/client.ts';
import { afterWrite } from '../admin/queries.ts';
import { Icon } from '../parts/icons.tsx';
import { ButtonLink } from '../parts/links.tsx';
import { Copy, Empty, Failure, Foreign, Loading, Moment, PageHead, Short } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { NothingHere } from '../shell/nothing-here.tsx';
import { tellOutcome } from '../shell/outcome.tsx';
import { Editor } from './editor.tsx';
import { callOf, type Kind, kindBySlug, rowPath, told } from './kinds.ts';
import { Parts } from './parts.tsx';
import { fieldsQuery, rowQuery, rowsReferred } from './queries.ts';
import type { FormField } from './schema.ts';
import { curlOf, deckDocument, NOT_IN_FILES } from './text-forms.ts';
import { inSentence } from './words.ts';

const page = getRouteApi('/config/$kind/$id');
const NOTHING: Readonly<Row> = {};

/** One row: what belongs to it, its form, and the same as text. */
export function Entity() {
  const { kind: slug, id } = page.useParams();
  const kind = kindBySlug(slug);
  return kind === undefined ? <NothingHere /> : <OneRow key={`${slug} ${id}`} kind={kind} id={id} />;
}

function OneRow({ kind, id }: { readonly kind: Kind; readonly id: string }) {
  const { under } = page.useSearch();
  const navigate = useNavigate();
  const row = useQuery(rowQuery(kind, id, under));
  const named =
    kind.name === 'plugins' || kind.name === 'vaults'
      ? typeof row.data?.name === 'string'
        ? row.data.name
        : null
      : null;
  const needsName = kind.name === 'plugins' || kind.name === 'vaults';
  const fields = useQuery({ ...fieldsQuery(kind, named), enabled: !needsName || named !== null });
  // By a name it is found as well, but another may have that tomorrow: everything here goes by the id.
  const storedId = row.data === undefined ? id : String(row.data.id);
  const isById = storedId === id;
  useEffect(() => {
    if (isById) return;
    const search = under === undefined ? {} : { under };
    void navigate({ to: '/config/$kind/$id', params: { kind: kind.slug, id: storedId }, search, replace: true });
  }, [isById, storedId, kind, under, navigate]);
  if (row.error instanceof AdminError && row.error.status === 404) {
    return (
      <Empty
        alone
        icon={kind.icon}
        title={`There is no such ${kind.singular}`}
        action={
          <ButtonLink to="/config/$kind" params={{ kind: kind.slug }}>
            Show all {inSentence(kind.plural)}
          </ButtonLink>
        }
      >
        It has been deleted, or is in another workspace.
      </Empty>
    );
  }
  const failed = row.data === undefined ? row.error : fields.data === undefined ? fields.error : null;
  if (failed !== null)
    return <Failure error={failed} again={() => void Promise.all([row.refetch(), fields.refetch()])} />;
  if (row.data === undefined || fields.data === undefined || !isById) return <Loading lines={8} />;
  const stored = row.data;
  const path = rowPath(kind, stored);
  return (
    <>
      <PageHead
        title={
          <Group gap="sm">
            <span className="hf-break">
              <Foreign text={callOf(kind, stored)} most={160} />
            </span>
            {stored.enabled === false && (
              <Badge variant="light" color="gray" tt="none" radius="sm">
                off
              </Badge>
            )}
          </Group>
        }
        actions={
          <Delete
            kind={kind}
            row={stored}
            path={path}
            onDeleted={() =>
              void navigate(
                kind.under === undefined
                  ? { to: '/config/$kind', params: { kind: kind.slug } }
                  : { to: '/config/$kind/$id', params: { kind: kind.under.slug, id: under ?? '' } },
              )
            }
          />
        }
      >
        {kind.singular.replace(/^./, (letter) => letter.toUpperCase())} <Short text={id} what="id" />
        {typeof stored.updated_at === 'number' && (
          <>
            {' '}
            changed <Moment at={stored.updated_at} />
          </>
        )}
      </PageHead>
      <Tabs defaultValue={kind.parts.length > 0 ? 'parts' : 'settings'} keepMounted={false}>
        <Tabs.List mb="md">
          {kind.parts.length > 0 && <Tabs.Tab value="parts">What belongs to it</Tabs.Tab>}
          <Tabs.Tab value="settings">Settings</Tabs.Tab>
          <Tabs.Tab value="text">As text</Tabs.Tab>
        </Tabs.List>
        {kind.parts.length > 0 && (
          <Tabs.Panel value="parts">
            <Parts kind={kind} row={stored} />
          </Tabs.Panel>
        )}
        <Tabs.Panel value="settings">
          <Paper withBorder p="lg" radius="md" maw={760}>
            <Editor
              kind={kind}
              fields={fields.data}
              stored={stored}
              given={NOTHING}
              place={`${kind.slug}/${id}`}
              parent={under}
              onSaved={() => undefined}
            />
          </Paper>
        </Tabs.Panel>
        <Tabs.Panel value="text">
          <Texts kind={kind} fields={fields.data} row={stored} path={path} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

function Texts(props: {
  readonly kind: Kind;
  readonly fields: readonly FormField[];
  readonly row: Row;
  readonly path: string;
}) {
  const { kind, fields, row, path } = props;
  const [yaml, setYaml] = useState('');
  useEffect(() => {
    let wanted = true;
    // Only who looks at it loads what writes YAML.
    void Promise.all([import('yaml'), rowsReferred(kind, row)]).then(
      ([{ stringify }, rows]) => wanted && setYaml(stringify(deckDocument(rows))),
      () => undefined,
    );
    return () => {
      wanted = false;
    };
  }, [kind, row]);
  // What is told of a row, and was not written, is no part of it; a hash is no password.
  const isHashed = kind.name === 'basicauth_credentials';
  const known = new Set(['name', ...fields.map(({ name }) => name)]);
  const body = Object.fromEntries(
    Object.entries(row).filter(([name]) => known.has(name) && !(isHashed && name === 'password')),
  );
  const forms = [
    ['JSON', JSON.stringify(row, null, 2)],
    ...(NOT_IN_FILES.has(kind.name) ? [] : [['decK (kong.yml)', yaml] as const]),
    [
      'curl',
      curlOf(isHashed ? 'PATCH' : 'PUT', addressOf(path, kind.cluster === true ? 'cluster' : 'workspace'), body),
    ],
  ] as const;
  return (
    <Stack gap="md">
      <Text size="sm" c="dimmed">
        Secrets are in it as they are.
      </Text>
      {forms.map(([name, text]) => (
        <div key={name}>
          <Group gap={4} mb={4}>
            <Text fw={600} size="sm">
              {name}
            </Text>
            <Copy text={text} what={name} />
          </Group>
          <Code block className="hf-break" tabIndex={0} style={{ whiteSpace: 'pre-wrap' }}>
            {text}
          </Code>
        </div>
      ))}
    </Stack>
  );
}

function Delete(props: {
  readonly kind: Kind;
  readonly row: Row;
  readonly path: string;
  readonly onDeleted: () => void;
}) {
  const { kind, row, path, onDeleted } = props;
  const [asking, ask] = useDisclosure();
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => write('DELETE', path, undefined, kind.cluster === true ? 'cluster' : 'workspace'),
    async onSuccess(written) {
      tellOutcome(`Deleted ${told(kind, row)}`, written);
      onDeleted();
      await afterWrite(client);
    },
  });
  return (
    <>
      <Button variant="default" leftSection={<Icon name="trash" size={16} />} onClick={ask.open}>
        Delete
      </Button>
      <Modal opened={asking} onClose={ask.close} title={`Delete this ${kind.singular}?`}>
        <Stack>
          <Text size="sm" className="hf-break">
            <b>{plain(callOf(kind, row))}</b> goes, and with it what belongs to it alone, such as its plugins. Data
            planes follow within a moment.
          </Text>
          {remove.error !== null && (
            <Alert color="red" variant="light" role="alert">
              {plain(reasonOf(remove.error), 1000)}
            </Alert>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={ask.close}>
              Keep it
            </Button>
            <Button color="red" loading={remove.isPending} onClick={() => remove.mutate()}>
              Delete it
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
