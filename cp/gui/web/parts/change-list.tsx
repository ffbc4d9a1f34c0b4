import { Badge, Code, Group, Stack, Text } from '@mantine/core';
import { singularOf } from '../config/kinds.ts';
import { Foreign } from './pieces.tsx';
import { plain } from './plain.ts';

/** What is different of one entity, as the Admin API tells it. */
export interface EntityChange {
  readonly entity: string;
  readonly id: string;
  readonly name: string | null;
  readonly operation: 'create' | 'update' | 'delete';
  readonly fields?: Readonly<Record<string, { readonly from: unknown; readonly to: unknown }>>;
}

/** Of what was done with a row. */
export const COLORS = { create: 'teal', update: 'cyan', delete: 'red' } as const;
/** More are not drawn: nobody reads them one by one. */
const SHOWN = 300;

/** Changes entity by entity and field by field. */
export function ChangeList({ changes }: { readonly changes: readonly EntityChange[] }) {
  return (
    <Stack gap="sm">
      {changes.slice(0, SHOWN).map(({ entity, id, name, operation, fields = {} }) => (
        <div key={`${entity} ${id}`}>
          <Group gap="xs">
            <Badge variant="light" color={COLORS[operation]} tt="none" radius="sm">
              {operation}
            </Badge>
            <Text size="sm" c="dimmed">
              {singularOf(entity)}
            </Text>
            <Text size="sm" fw={600} className="hf-break">
              <Foreign text={name ?? id} most={120} />
            </Text>
          </Group>
          {Object.entries(fields).map(([field, { from, to }]) => (
            <Text key={field} size="sm" className="hf-break" ml="md" mt={2}>
              {field}: <Code>{shown(from)}</Code> → <Code>{shown(to)}</Code>
            </Text>
          ))}
        </div>
      ))}
      {changes.length > SHOWN && (
        <Text size="sm" c="dimmed">
          and {(changes.length - SHOWN).toLocaleString('en')} more
        </Text>
      )}
    </Stack>
  );
}

const shown = (value: unknown): string => plain(JSON.stringify(value ?? null), 300);
