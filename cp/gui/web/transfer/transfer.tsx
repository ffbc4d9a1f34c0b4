import { Alert, Button, Group, Stack, Text, Textarea } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { isRecord } from '../../../../shared/record.ts';
import { workspace } from '../admin/address.ts';
import { readText, reasonOf, write } from '../admin/client.ts';
import { afterWrite } from '../admin/queries.ts';
import { ChangeList, type EntityChange } from '../parts/change-list.tsx';
import { FileDrop } from '../parts/file-drop.tsx';
import { Icon } from '../parts/icons.tsx';
import { PageHead, Section } from '../parts/pieces.tsx';
import { plain } from '../parts/plain.ts';
import { tellOutcome } from '../shell/outcome.tsx';

/** Takes a declarative file in, after showing what it would change, and gives one out. */
export function Transfer() {
  return (
    <>
      <PageHead title="Import and export">Config as a file: a kong.yml of Kong or decK, in YAML or JSON.</PageHead>
      <Stack gap="md">
        <Import />
        <Export />
      </Stack>
    </>
  );
}

function Import() {
  const [text, setText] = useState('');
  const client = useQueryClient();
  const compare = useMutation({
    async mutationFn(document: string): Promise<readonly EntityChange[]> {
      const { body } = await write('POST', '/config/diff', document);
      const changes: readonly EntityChange[] = isRecord(body) && Array.isArray(body.data) ? body.data : [];
      return changes;
    },
  });
  const apply = useMutation({
    mutationFn: () => write('POST', '/config/import', text),
    async onSuccess(written) {
      tellOutcome('Imported the file as one change', written);
      setText('');
      compare.reset();
      await afterWrite(client);
    },
  });
  const take = (document: string) => {
    setText(document);
    compare.reset();
    apply.reset();
    if (document.trim() !== '') compare.mutate(document);
  };
  const error = compare.error ?? apply.error;
  return (
    <Section title="Import">
      <Stack gap="md">
        <FileDrop label="File" accept=".yml,.yaml,.json" onText={take} />
        <Textarea
          label="Document"
          value={text}
          onChange={({ currentTarget }) => {
            setText(currentTarget.value);
            compare.reset();
            apply.reset();
          }}
          autosize
          minRows={4}
          maxRows={14}
          spellCheck={false}
          placeholder={'_format_version: "3.0"\nservices:\n- name: orders\n  url: http://orders.internal'}
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 13 } }}
        />
        {error !== null && (
          <Alert
            color="red"
            variant="light"
            icon={<Icon name="alert" />}
            title="This document cannot be taken"
            role="alert"
          >
            <Text size="sm" className="hf-break" style={{ whiteSpace: 'pre-wrap' }}>
              {plain(reasonOf(error), 4000)}
            </Text>
          </Alert>
        )}
        {compare.data === undefined ? (
          <Group>
            <Button
              variant="default"
              disabled={text.trim() === ''}
              loading={compare.isPending}
              onClick={() => take(text)}
            >
              Show what it would change
            </Button>
          </Group>
        ) : compare.data.length === 0 ? (
          <Text size="sm">All of it is there already: nothing would change.</Text>
        ) : (
          <>
            <Text fw={600}>
              {compare.data.length === 1 ? 'One change' : `${compare.data.length.toLocaleString('en')} changes`}. What
              the document does not name stays as it is.
            </Text>
            <ChangeList changes={compare.data} />
            <Group>
              <Button loading={apply.isPending} onClick={() => apply.mutate()}>
                Apply as one change
              </Button>
            </Group>
          </>
        )}
      </Stack>
    </Section>
  );
}

function Export() {
  const give = useMutation({
    async mutationFn() {
      const text = await readText('/config/export', 'workspace');
      const address = URL.createObjectURL(new Blob([text], { type: 'application/yaml' }));
      const link = document.createElement('a');
      link.href = address;
      link.download = workspace === 'default' ? 'kong.yml' : `kong-${workspace}.yml`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    },
  });
  return (
    <Section title="Export">
      <Stack gap="sm">
        <Text size="sm" c="dimmed">
          All entities of this workspace as one YAML file, which Import, decK and Kong take. Secrets are in it as they
          are.
        </Text>
        {give.error !== null && (
          <Alert color="red" variant="light">
            {plain(reasonOf(give.error), 1000)}
          </Alert>
        )}
        <Group>
          <Button
            variant="default"
            leftSection={<Icon name="download" size={16} />}
            loading={give.isPending}
            onClick={() => give.mutate()}
          >
            Download kong.yml
          </Button>
        </Group>
      </Stack>
    </Section>
  );
}
