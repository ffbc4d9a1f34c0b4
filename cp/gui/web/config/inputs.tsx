import {
  ActionIcon,
  Alert,
  Button,
  Fieldset,
  Group,
  MultiSelect,
  NumberInput,
  PasswordInput,
  Stack,
  Text,
  TextInput,
} from '@mantine/core';
import { useEffect, useId, useState } from 'react';
import { isRecord, type Row, recordOrEmpty } from '../../../../shared/record.ts';
import { Icon } from '../parts/icons.tsx';
import { plain } from '../parts/plain.ts';
import { errorsAt, type FieldErrors } from './errors.ts';
import { MapInput } from './map-input.tsx';
import { ReferenceInput } from './reference-input.tsx';
import { type FormField, initialValues, same } from './schema.ts';
import { Choice, Json, Lines, Toggle, Words } from './value-inputs.tsx';
import { hintOf, inSentence, labelOf } from './words.ts';

/** A value that a form has at some place, and who is to be told when it changes. */
export interface InputProps {
  readonly field: FormField;
  readonly value: unknown;
  readonly errors: FieldErrors;
  readonly onChange: (value: unknown) => void;
  /** Stands in a list, where its name is said already. */
  readonly bare?: string;
  readonly disabled?: boolean;
}

/** One field, whatever it holds. */
export function Input(props: InputProps) {
  const { field, value, onChange, bare, disabled = false } = props;
  const error = props.errors.own === null ? undefined : plain(props.errors.own, 1000);
  const label = bare ?? labelOf(field.name);
  const hint = bare === undefined ? hintOf(field) : '';
  const common = {
    label,
    ...(bare !== undefined && { 'aria-label': bare, label: undefined }),
    ...(hint !== '' && { description: hint }),
    ...(error !== undefined && { error }),
    withAsterisk: field.required && field.initial === null && bare === undefined,
    disabled,
  };
  const text = typeof value === 'string' ? value : value === null || value === undefined ? '' : String(value);
  switch (field.widget) {
    case 'text':
      if (field.secret) {
        return (
          <PasswordInput
            {...common}
            value={text}
            autoComplete="new-password"
            onChange={({ currentTarget }) => onChange(currentTarget.value)}
            {...(field.auto && { placeholder: 'made up when left empty' })}
          />
        );
      }
      return (
        <TextInput
          {...common}
          value={text}
          autoComplete="off"
          spellCheck={false}
          onChange={({ currentTarget }) => onChange(currentTarget.value)}
          {...(field.auto && { placeholder: 'made up when left empty' })}
        />
      );
    case 'lines':
      return <Lines {...common} secret={field.secret} text={text} onText={onChange} />;
    case 'number':
      return (
        <NumberInput
          {...common}
          value={typeof value === 'number' ? value : ''}
          allowDecimal={!field.integer}
          onChange={(next) => onChange(typeof next === 'number' ? next : next === '' ? null : Number(next))}
        />
      );
    case 'switch':
      return <Toggle common={common} checked={value === true} onChange={onChange} />;
    case 'choice':
      return <Choice {...props} common={common} />;
    case 'choices':
      return (
        <MultiSelect
          {...common}
          data={field.options.map(String)}
          value={Array.isArray(value) ? value.map(String) : []}
          onChange={(chosen) =>
            onChange(chosen.map((one) => field.options.find((option) => String(option) === one) ?? one))
          }
          searchable
          clearable
          clearButtonProps={{ 'aria-label': `Clear ${label}` }}
        />
      );
    case 'words':
      return <Words {...props} common={common} />;
    case 'reference':
      return <ReferenceInput {...props} label={label} />;
    case 'list':
      return <List {...props} />;
    case 'map':
      return <MapInput {...props} />;
    case 'record':
      return <Nested {...props} />;
    case 'json':
      return <Json common={common} value={value} onChange={onChange} />;
  }
}

/** Records, or texts of several lines, one below the other. */
function List({ field, value, errors, onChange, disabled = false }: InputProps) {
  const items = Array.isArray(value) ? value : [];
  const { elements } = field;
  if (elements === null) return null;
  const replace = (at: number, next: unknown) => onChange(items.map((item, i) => (i === at ? next : item)));
  const begin = () =>
    elements.widget === 'record'
      ? initialValues(elements.fields)
      : elements.widget === 'list' || elements.widget === 'words'
        ? []
        : '';
  return (
    <Fieldset legend={labelOf(field.name)} disabled={disabled}>
      <Stack gap="sm">
        <Told errors={errors} hint={hintOf(field)} />
        {items.map((item, at) => (
          <Group key={at} align="flex-start" wrap="nowrap" gap="xs">
            <div style={{ flex: 1, minWidth: 0 }}>
              <Input
                field={elements}
                value={item}
                errors={errorsAt(errors, at)}
                onChange={(next) => replace(at, next)}
                bare={`${labelOf(field.name)} ${at + 1}`}
              />
            </div>
            <ActionIcon
              variant="subtle"
              color="gray"
              mt={4}
              aria-label={`Remove ${labelOf(field.name)} ${at + 1}`}
              onClick={() => onChange(items.filter((_, i) => i !== at))}
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
            onClick={() => onChange([...items, begin()])}
          >
            Add to {inSentence(labelOf(field.name))}
          </Button>
        </Group>
      </Stack>
    </Fieldset>
  );
}

/** What is told of a group of fields as a whole. */
export function Told({ errors, hint }: { readonly errors: FieldErrors; readonly hint: string }) {
  return (
    <>
      {hint !== '' && (
        <Text size="xs" c="dimmed">
          {hint}
        </Text>
      )}
      {errors.own !== null && (
        <Alert color="red" variant="light" p="xs" role="alert">
          <Text size="sm" className="hf-break">
            {plain(errors.own, 1000)}
          </Text>
        </Alert>
      )}
    </>
  );
}

/** A record: folded in while all in it is as usual. */
function Nested({ field, value, errors, onChange, bare, disabled = false }: InputProps) {
  // What a plugin is told is what its form is for.
  const isConfig = field.name === 'config' && field.required && field.fields.length > 0;
  const hasErrors = errors.own !== null || Object.keys(errors.inside).length > 0;
  const [opened, open] = useState(
    () => isConfig || bare !== undefined || (value !== null && !same(value, field.initial)),
  );
  // Open it stays when what was wrong is being mended.
  useEffect(() => {
    if (hasErrors) open(true);
  }, [hasErrors]);
  const id = useId();
  const label = bare ?? labelOf(field.name);
  if (!isRecord(value)) {
    return (
      <Fieldset legend={label} disabled={disabled}>
        <Stack gap="sm">
          <Told errors={errors} hint={hintOf(field)} />
          <Group gap="xs">
            <Text size="sm" c="dimmed">
              not set
            </Text>
            <Button
              variant="default"
              size="xs"
              leftSection={<Icon name="plus" size={14} />}
              onClick={() => {
                open(true);
                onChange(initialValues(field.fields));
              }}
            >
              Set {inSentence(label)}
            </Button>
          </Group>
        </Stack>
      </Fieldset>
    );
  }
  return (
    <Fieldset legend={label} disabled={disabled}>
      <Stack gap="sm">
        <Told errors={errors} hint={hintOf(field)} />
        {bare === undefined && !isConfig && (
          <Group gap="xs">
            <Button
              variant="subtle"
              color="gray"
              size="compact-xs"
              aria-expanded={opened}
              aria-controls={id}
              aria-label={`${opened ? 'Fold in' : `${field.fields.length} settings of`} ${inSentence(label)}`}
              rightSection={<Icon name={opened ? 'up' : 'down'} size={12} />}
              onClick={() => open(!opened)}
            >
              {opened ? 'Fold in' : `${field.fields.length} settings`}
            </Button>
            {!field.required && field.initial === null && (
              <Button
                variant="subtle"
                color="gray"
                size="compact-xs"
                aria-label={`Unset ${inSentence(label)}`}
                onClick={() => onChange(null)}
              >
                Unset
              </Button>
            )}
          </Group>
        )}
        <div id={id} hidden={!opened}>
          {opened && <Fields fields={field.fields} values={value} errors={errors} onChange={onChange} />}
        </div>
      </Stack>
    </Fieldset>
  );
}

/** Fields one below the other. */
export function Fields(props: {
  readonly fields: readonly FormField[];
  readonly values: Readonly<Row>;
  readonly errors: FieldErrors;
  readonly onChange: (values: Row) => void;
  readonly fixed?: readonly string[];
}) {
  const { fields, values, errors, onChange, fixed = [] } = props;
  return (
    <Stack gap="md">
      {fields.map((field) => (
        <Input
          key={field.name}
          field={field}
          value={values[field.name] ?? null}
          errors={errorsAt(errors, field.name)}
          onChange={(value) => onChange({ ...recordOrEmpty(values), [field.name]: value })}
          disabled={fixed.includes(field.name)}
        />
      ))}
    </Stack>
  );
}
