import { Button, JsonInput, Input as MantineInput, Select, Switch, TagsInput, Text, Textarea } from '@mantine/core';
import { useId, useState } from 'react';
import { Icon } from '../parts/icons.tsx';
import { plain } from '../parts/plain.ts';
import type { InputProps } from './inputs.tsx';
import { inSentence } from './words.ts';

/** What all inputs are given: how they are called, what they mean and what is wrong. */
export type Common = Readonly<Record<'label', string | undefined>> & {
  readonly error?: string;
  readonly description?: string;
  readonly disabled: boolean;
  readonly withAsterisk: boolean;
};

/** A switch, named by its label alone: what it means is a description of it. */
export function Toggle({
  common,
  checked,
  onChange,
}: {
  readonly common: Common;
  readonly checked: boolean;
  readonly onChange: (value: unknown) => void;
}) {
  const id = useId();
  const { withAsterisk: _, description, ...rest } = common;
  return (
    <div>
      <Switch
        {...rest}
        checked={checked}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
        {...(description !== undefined && { 'aria-describedby': id })}
      />
      {description !== undefined && (
        <MantineInput.Description id={id} mt={4}>
          {description}
        </MantineInput.Description>
      )}
    </div>
  );
}

/** A text of several lines; one that is a secret is shown only when asked for. */
export function Lines({
  secret,
  text,
  onText,
  ...common
}: Common & { readonly secret: boolean; readonly text: string; readonly onText: (text: string) => void }) {
  const [shown, show] = useState(!secret || text === '');
  if (!shown) {
    return (
      <div>
        <Text size="sm" fw={500}>
          {common.label}
        </Text>
        {common.description !== undefined && <MantineInput.Description>{common.description}</MantineInput.Description>}
        <Button
          variant="default"
          size="xs"
          mt={4}
          leftSection={<Icon name="lock" size={14} />}
          onClick={() => show(true)}
        >
          Show and edit {inSentence(common.label ?? '')}
        </Button>
        {common.error !== undefined && (
          <Text size="xs" c="var(--mantine-color-error)" mt={4}>
            {common.error}
          </Text>
        )}
      </div>
    );
  }
  return (
    <Textarea
      {...common}
      value={text}
      onChange={({ currentTarget }) => onText(currentTarget.value)}
      autosize
      minRows={3}
      maxRows={18}
      spellCheck={false}
      styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 13 } }}
    />
  );
}

/** One of several values, or none. */
export function Choice({ field, value, onChange, common }: InputProps & { readonly common: Common }) {
  const isBoolean = field.options.length === 0;
  const data = isBoolean ? ['true', 'false'] : field.options.map(String);
  return (
    <Select
      {...common}
      data={data}
      value={value === null || value === undefined ? null : String(value)}
      placeholder="not set"
      searchable={data.length > 8}
      clearable={!field.required}
      clearButtonProps={{ 'aria-label': `Clear ${common.label ?? field.name}` }}
      onChange={(chosen) => {
        if (chosen === null || isBoolean) onChange(chosen === null ? null : chosen === 'true');
        else onChange(field.options.find((option) => String(option) === chosen) ?? null);
      }}
    />
  );
}

/** Texts or numbers, each made by Enter. */
export function Words({ field, value, errors, onChange, common }: InputProps & { readonly common: Common }) {
  const isNumber = field.elements?.widget === 'number';
  const inside = Object.entries(errors.inside).flatMap(([at, told]) =>
    typeof told === 'string' ? [`${Number(at) + 1}: ${told}`] : [],
  );
  const error = common.error ?? (inside.length === 0 ? undefined : plain(inside.join('; '), 1000));
  return (
    <TagsInput
      {...common}
      {...(error !== undefined && { error })}
      value={Array.isArray(value) ? value.map(String) : []}
      onChange={(words) =>
        onChange(
          words.length === 0
            ? field.required
              ? []
              : null
            : words.map((word) =>
                isNumber && word.trim() !== '' && Number.isFinite(Number(word)) ? Number(word) : word,
              ),
        )
      }
      // A comma may be part of a value.
      splitChars={[]}
      acceptValueOnBlur
      placeholder={Array.isArray(value) && value.length > 0 ? '' : 'Type a value, then Enter'}
      clearable
      clearButtonProps={{ 'aria-label': `Clear ${common.label ?? field.name}` }}
    />
  );
}

/** Whatever is JSON, as text. */
export function Json({
  common,
  value,
  onChange,
}: {
  readonly common: Common;
  readonly value: unknown;
  readonly onChange: (value: unknown) => void;
}) {
  const [text, setText] = useState(() => (value === null || value === undefined ? '' : JSON.stringify(value, null, 2)));
  const [broken, setBroken] = useState(false);
  return (
    <JsonInput
      {...common}
      error={broken ? 'This is no JSON yet' : common.error}
      value={text}
      autosize
      minRows={3}
      maxRows={18}
      onChange={(next) => {
        setText(next);
        try {
          onChange(next.trim() === '' ? null : JSON.parse(next));
          setBroken(false);
        } catch {
          setBroken(true);
        }
      }}
    />
  );
}
