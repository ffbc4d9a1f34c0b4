import { Group, Select, Stack, Textarea, TextInput } from '@mantine/core';
import { FileDrop } from '../parts/file-drop.tsx';

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
  return (
    <Stack gap="md">
      <FileDrop
        label="File of requests"
        accept=".har,.json,.log,.txt"
        onText={(text) => onChange({ ...given, text })}
      />
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
          w={160}
        />
      </Group>
    </Stack>
  );
}
