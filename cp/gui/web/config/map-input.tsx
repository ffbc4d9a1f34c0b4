import { ActionIcon, Button, Fieldset, Group, Stack, TextInput } from '@mantine/core';
import { useState } from 'react';
import { isRecord } from '../../../../shared/record.ts';
import { Icon } from '../parts/icons.tsx';
import { errorsAt, NO_ERRORS } from './errors.ts';
import { Input, type InputProps, Told } from './inputs.tsx';
import { initialValues, same } from './schema.ts';
import { hintOf, inSentence, labelOf } from './words.ts';

type Entry = readonly [key: string, value: unknown];

/** Names with values, one pair to a line. While a name is being typed two may be the same: then the last one counts. */
export function MapInput({ field, value, errors, onChange, disabled = false }: InputProps) {
  const [entries, setEntries] = useState<readonly Entry[]>(() => (isRecord(value) ? Object.entries(value) : []));
  const { elements } = field;
  // What came from elsewhere, as another's change, is shown.
  const shown = same(Object.fromEntries(named(entries)), value ?? {})
    ? entries
    : isRecord(value)
      ? Object.entries(value)
      : [];
  if (elements === null) return null;
  const change = (next: readonly Entry[]) => {
    setEntries(next);
    const pairs = named(next);
    onChange(pairs.length === 0 && !field.required && field.initial === null ? null : Object.fromEntries(pairs));
  };
  const replace = (at: number, entry: Entry) => change(shown.map((old, i) => (i === at ? entry : old)));
  const label = labelOf(field.name);
  // The Admin API does not say which value of a map is wrong: it tells what is, as of a single one.
  const isKeyed = shown.some(([key]) => key in errors.inside);
  const ofValues = elements.widget === 'record' ? { own: null, inside: errors.inside } : NO_ERRORS;
  const texts = Object.values(errors.inside).filter((text) => typeof text === 'string');
  const told = { ...errors, own: errors.own ?? (texts.length === 0 ? null : texts.join('; ')) };
  const begin = (): unknown =>
    elements.widget === 'record'
      ? initialValues(elements.fields)
      : elements.widget === 'words' || elements.widget === 'choices'
        ? []
        : elements.initial;
  return (
    <Fieldset legend={label} disabled={disabled}>
      <Stack gap="sm">
        <Told errors={isKeyed || elements.widget === 'record' ? errors : told} hint={hintOf(field)} />
        {shown.map(([key, item], at) => (
          <Group key={at} align="flex-start" wrap="nowrap" gap="xs">
            <TextInput
              aria-label={`${label}: name ${at + 1}`}
              placeholder="name"
              value={key}
              onChange={({ currentTarget }) => replace(at, [currentTarget.value, item])}
              style={{ flex: '1 1 120px' }}
            />
            <div style={{ flex: '2 1 160px', minWidth: 0 }}>
              <Input
                field={elements}
                value={item}
                errors={isKeyed ? errorsAt(errors, key) : ofValues}
                onChange={(next) => replace(at, [key, next])}
                bare={`${label}: value ${at + 1}`}
              />
            </div>
            <ActionIcon
              variant="subtle"
              color="gray"
              mt={4}
              aria-label={`Remove ${label} ${at + 1}`}
              onClick={() => change(shown.filter((_, i) => i !== at))}
            >
              <Icon name="trash" size={16} />
            </ActionIcon>
          </Group>
        ))}
        <Group>
          <Button
            variant="default"
            size="xs"
            leftSection={<Icon name="plus" size={14} />}
            onClick={() => setEntries([...shown, ['', begin()]])}
          >
            Add to {inSentence(label)}
          </Button>
        </Group>
      </Stack>
    </Fieldset>
  );
}

const named = (entries: readonly Entry[]): readonly Entry[] => entries.filter(([key]) => key !== '');
