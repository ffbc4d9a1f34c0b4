import { Alert, Button, Code, Collapse, Group, Paper, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useEffect, useMemo, useRef, useState } from 'react';
import { type Row, recordOrEmpty } from '../../../../shared/record.ts';
import { addressOf } from '../admin/address.ts';
import { AdminError, reasonOf, type Written, write } from '../admin/client.ts';
import { afterWrite } from '../admin/queries.ts';
import { Icon } from '../parts/icons.tsx';
import { Copy } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { tellOutcome } from '../shell/outcome.tsx';
import { foreignChanges, merged } from './conflict.ts';
import { type Draft, dropDraft, keepDraft, readDraft } from './drafts.ts';
import { errorsOf, NO_ERRORS, standing } from './errors.ts';
import { Fields } from './inputs.tsx';
import { collectionPath, type Kind, told } from './kinds.ts';
import { readForWrite, rowQuery } from './queries.ts';
import { changeBody, creationBody, type FormField, formValues, initialValues, same } from './schema.ts';
import { withoutSecrets, withSecrets } from './secrets.ts';
import { curlOf } from './text-forms.ts';
import { partsOfUrl } from './url-parts.ts';
import { labelOf } from './words.ts';

interface EditorProps {
  readonly kind: Kind;
  readonly fields: readonly FormField[];
  /** The row as it is stored; null: it is to be made. */
  readonly stored: Row | null;
  /** What a new row has from where it is made, and keeps: its service, the name of its plugin. */
  readonly given: Readonly<Row>;
  /** What the draft of it is kept as. */
  readonly place: string;
  /** The id of the row it is under, if it is under one. */
  readonly parent?: string | undefined;
  readonly onSaved: (row: Row) => void;
}

/** How often a row that others keep writing is tried again. */
const ATTEMPTS = 5;

/** Somebody else wrote the row since the form was opened: what that was is shown, and nothing is overwritten. */
class Overtaken extends Error {}

/** The form of a row: its fields, what is wrong with them, and what others did to the row meanwhile. */
export function Editor({ kind, fields, stored, given, place, parent, onSaved }: EditorProps) {
  const client = useQueryClient();
  const storedValues = useMemo(() => (stored === null ? null : formValues(fields, stored)), [fields, stored]);
  const begun = useMemo<Draft>(
    () =>
      storedValues === null
        ? { opened: null, values: { ...initialValues(fields), ...given } }
        : { opened: storedValues, values: storedValues },
    [storedValues, fields, given],
  );
  const [kept, setKept] = useState(() => {
    const read = readDraft(place);
    if (read === null) return null;
    const now = read.opened === null ? begun.values : (storedValues ?? {});
    return {
      opened: read.opened === null ? null : withSecrets(fields, read.opened, now),
      values: withSecrets(fields, read.values, now),
    };
  });
  const [draft, setDraft] = useState<Draft>(kept ?? begun);
  const [more, showMore] = useDisclosure(false);
  const top = useRef<HTMLFormElement>(null);
  // Browsers write what is kept to the disk.
  const keep = ({ opened, values }: Draft) =>
    keepDraft(place, {
      opened: opened === null ? null : withoutSecrets(fields, opened),
      values: withoutSecrets(fields, values),
    });

  const opened = draft.opened;
  const dirty = opened === null ? !same(draft.values, begun.values) : !same(opened, draft.values);
  const theirs =
    opened !== null && storedValues !== null ? foreignChanges(fields, opened, storedValues, draft.values) : [];
  // What others wrote is simply shown, as long as there is nothing of one's own to lose.
  useEffect(() => {
    if (!dirty && storedValues !== null && opened !== null && !same(opened, storedValues))
      setDraft({ opened: storedValues, values: storedValues });
  }, [dirty, storedValues, opened]);

  const save = useMutation({
    async mutationFn(_: Readonly<Row>): Promise<Written> {
      const path = collectionPath(kind, { ...draft.values, ...given });
      if (path === null)
        throw new AdminError(400, {
          message: `${kind.under?.field} is missing`,
          fields: { [kind.under?.field ?? '']: 'required field missing' },
        });
      const scope = kind.cluster === true ? 'cluster' : 'workspace';
      if (stored === null || opened === null)
        return write('POST', path, { ...creationBody(fields, draft.values), ...given }, scope);
      const id = String(stored.id);
      for (let left = ATTEMPTS; ; left -= 1) {
        const { row, tag } = await readForWrite(kind, id, parent);
        if (foreignChanges(fields, opened, formValues(fields, row), draft.values).length > 0) {
          client.setQueryData(rowQuery(kind, id).queryKey, row);
          throw new Overtaken();
        }
        try {
          return await write(
            'PATCH',
            `${path}/${encodeURIComponent(id)}`,
            changeBody(fields, opened, draft.values),
            scope,
            tag,
          );
        } catch (error) {
          // Written in this very moment: perhaps something that this form does not touch.
          if (left === 0 || !(error instanceof AdminError && error.status === 412)) throw error;
        }
      }
    },
    async onSuccess(written, sent) {
      const row = recordOrEmpty(written.body);
      dropDraft(place);
      setKept(null);
      if (stored !== null) {
        client.setQueryData(rowQuery(kind, String(stored.id)).queryKey, { ...row });
        const opened = formValues(fields, row);
        // What was typed while it was on its way is not saved, and stays.
        const next = { opened, values: merged(fields, sent, opened, draft.values) };
        setDraft(next);
        if (!same(opened, next.values)) keep(next);
      }
      tellOutcome(`${stored === null ? 'Created' : 'Saved'} ${told(kind, row)}`, written);
      onSaved({ ...row });
      await afterWrite(client);
    },
    onError() {
      top.current?.scrollIntoView({ block: 'start' });
    },
  });

  const errors =
    save.error instanceof AdminError ? standing(errorsOf(save.error.fields), save.variables, draft.values) : NO_ERRORS;
  const change = (values: Row) => {
    const next = { opened, values };
    setDraft(next);
    keep(next);
  };
  const discard = () => {
    dropDraft(place);
    setKept(null);
    save.reset();
    setDraft(begun);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate(draft.values);
  };
  const fixed = Object.keys(given);
  const first = kind.first.flatMap((name) => fields.filter((field) => field.name === name));
  const rest = fields.filter(({ name }) => !kind.first.includes(name) && !(kind.name === 'plugins' && name === 'name'));
  const hasHiddenErrors = rest.some(({ name }) => name in errors.inside);
  // Open they stay when what was wrong is being mended.
  const { open: openMore } = showMore;
  useEffect(() => {
    if (hasHiddenErrors) openMore();
  }, [hasHiddenErrors, openMore]);
  const shown = kind.name === 'plugins' ? first.filter(({ name }) => name !== 'name') : first;
  const body =
    opened === null ? { ...creationBody(fields, draft.values), ...given } : changeBody(fields, opened, draft.values);
  const path = collectionPath(kind, { ...draft.values, ...given }) ?? `/${kind.slug}`;
  const scope = kind.cluster === true ? 'cluster' : 'workspace';
  const url = addressOf(stored === null ? path : `${path}/${stored.id}`, scope);

  return (
    <form onSubmit={submit} ref={top} noValidate autoComplete="off">
      <Stack gap="md">
        {kept !== null && dirty && (
          <Alert
            color="gray"
            variant="light"
            icon={<Icon name="edit" />}
            title="This is what you typed before and did not save"
          >
            <Stack gap="xs" align="flex-start">
              <Text size="sm">Secrets are not kept.</Text>
              <Button size="xs" variant="default" onClick={discard}>
                Discard it
              </Button>
            </Stack>
          </Alert>
        )}
        {theirs.length > 0 && dirty && (
          <Conflict
            theirs={theirs}
            onMerge={() => {
              if (opened === null || storedValues === null) return;
              const next = { opened: storedValues, values: merged(fields, opened, storedValues, draft.values) };
              setDraft(next);
              keep(next);
              save.reset();
            }}
            onDiscard={discard}
          />
        )}
        {save.error !== null && !(save.error instanceof Overtaken) && (
          <Alert color="red" variant="light" icon={<Icon name="alert" />} title="This was not saved" role="alert">
            <Text size="sm" className="hf-break">
              {plain(errors.own ?? reasonOf(save.error), 2000)}
            </Text>
          </Alert>
        )}
        {kind.name === 'services' && <ServiceUrl values={draft.values} onChange={change} />}
        <Fields fields={shown} values={draft.values} errors={errors} onChange={change} fixed={fixed} />
        {rest.length > 0 && (
          <div>
            <Button
              variant="subtle"
              color="gray"
              size="compact-sm"
              aria-expanded={more}
              rightSection={<Icon name={more ? 'up' : 'down'} size={14} />}
              onClick={showMore.toggle}
            >
              More settings ({rest.length})
            </Button>
            <Collapse expanded={more}>
              <Paper mt="sm" withBorder p="md" radius="md">
                {more && <Fields fields={rest} values={draft.values} errors={errors} onChange={change} fixed={fixed} />}
              </Paper>
            </Collapse>
          </div>
        )}
        <Group justify="space-between" gap="sm">
          <Group gap="sm">
            <Button type="submit" loading={save.isPending} disabled={stored !== null && (!dirty || theirs.length > 0)}>
              {stored === null ? `Create ${kind.singular}` : 'Save'}
            </Button>
            {dirty && (
              <Button variant="default" onClick={discard}>
                Discard changes
              </Button>
            )}
          </Group>
          <Group gap={4}>
            <Text size="sm" c="dimmed">
              as curl
            </Text>
            <Copy text={curlOf(stored === null ? 'POST' : 'PATCH', url, body)} what="curl command" />
          </Group>
        </Group>
      </Stack>
    </form>
  );
}

function Conflict(props: {
  readonly theirs: ReturnType<typeof foreignChanges>;
  readonly onMerge: () => void;
  readonly onDiscard: () => void;
}) {
  return (
    <Alert
      color="orange"
      variant="light"
      icon={<Icon name="alert" />}
      title="Somebody else has changed this since you opened it"
      role="alert"
    >
      <Stack gap="sm">
        {props.theirs.map(({ field, before, theirs, mine, contested }) => (
          <div key={field}>
            <Text size="sm" fw={600}>
              {field.split('.').map(labelOf).join(' › ')}
            </Text>
            <Text size="sm" className="hf-break">
              It was <Code>{shownAs(before)}</Code> and is now <Code>{shownAs(theirs)}</Code>.
              {contested && (
                <>
                  {' '}
                  You want <Code>{shownAs(mine)}</Code>.
                </>
              )}
            </Text>
          </div>
        ))}
        <Group gap="sm">
          <Button size="xs" onClick={props.onMerge}>
            Keep my changes on top of theirs
          </Button>
          <Button size="xs" variant="default" onClick={props.onDiscard}>
            Take theirs, discard mine
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}

const shownAs = (value: unknown): string => plain(JSON.stringify(value ?? null), 300);

/** Fills in where a service is from an address as people have it. */
function ServiceUrl({ values, onChange }: { readonly values: Row; readonly onChange: (values: Row) => void }) {
  const [text, setText] = useState('');
  const parts = partsOfUrl(text);
  return (
    <TextInput
      label="URL of the API"
      description="Fills in protocol, host, port and path below."
      placeholder="http://orders.internal:8080/v1"
      value={text}
      error={text !== '' && parts === null ? 'Not an address yet, such as http://orders.internal:8080/v1' : undefined}
      onChange={({ currentTarget }) => {
        setText(currentTarget.value);
        const next = partsOfUrl(currentTarget.value);
        if (next !== null) onChange({ ...values, ...next });
      }}
      autoComplete="off"
      spellCheck={false}
    />
  );
}
