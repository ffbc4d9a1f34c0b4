import { Button, FileButton, Group, Select, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { type DragEvent, useState } from 'react';
import { Icon } from '../parts/icons.tsx';

/** Requests that somebody has: their text, and what lines of a log do not say. */
export interface Given {
  readonly text: string;
  readonly host: string;
  readonly scheme: string;
}

/** Takes requests as a file or as text. */
export function GivenRequests({
  given,
  onChange,
}: {
  readonly given: Given;
  readonly onChange: (given: Given) => void;
}) {
  const [over, setOver] = useState(false);
  const take = (file: File | null | undefined) => void file?.text().then((text) => onChange({ ...given, text }));
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files[0]);
  };
  return (
    <Stack gap="md">
      <section
        aria-label="File of requests"
        className="hf-drop"
        data-over={over}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <Group gap="sm">
          <FileButton onChange={take} accept=".har,.json,.log,.txt">
            {(props) => (
              <Button {...props} variant="default" leftSection={<Icon name="transfer" size={16} />}>
                Choose a file
              </Button>
            )}
          </FileButton>
          <Text size="sm" c="dimmed">
            or drop one here, or paste its text below
          </Text>
        </Group>
      </section>
      <Textarea
        label="Requests"
        description="A HAR, lines of an access log, or a JSON list. Bodies, cookies and credentials are not looked at."
        value={given.text}
        onChange={({ currentTarget }) => onChange({ ...given, text: currentTarget.value })}
        autosize
        minRows={4}
        maxRows={14}
        spellCheck={false}
        placeholder={'[{"method": "GET", "host": "api.example.com", "path": "/orders"}]'}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 13 } }}
      />
      <Group align="flex-end" gap="sm">
        <TextInput
          label="Host of log lines"
          description="Where a line says none."
          placeholder="api.example.com"
          value={given.host}
          onChange={({ currentTarget }) => onChange({ ...given, host: currentTarget.value })}
          autoComplete="off"
          spellCheck={false}
          style={{ flex: '1 1 200px' }}
        />
        <Select
          label="Scheme of log lines"
          data={['http', 'https']}
          value={given.scheme}
          onChange={(scheme) => onChange({ ...given, scheme: scheme ?? 'http' })}
          allowDeselect={false}
          w={160}
        />
      </Group>
    </Stack>
  );
}
