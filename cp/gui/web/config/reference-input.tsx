import { Group, Loader, Select, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { plain } from '../parts/plain.ts';
import type { InputProps } from './inputs.tsx';
import { kindByName, referredId, titleOf } from './kinds.ts';
import { rowsQuery } from './queries.ts';
import { hintOf, inSentence } from './words.ts';

/** Which row of another kind is meant: found by its name, kept by its id. */
export function ReferenceInput({
  field,
  value,
  errors,
  onChange,
  label,
  bare,
  disabled = false,
}: InputProps & { readonly label: string }) {
  const kind = kindByName(field.reference ?? '');
  const { data, isPending } = useQuery({ ...rowsQuery(kind?.slug ?? ''), enabled: kind !== undefined });
  const id = referredId(value);
  const rows = data?.rows ?? [];
  const options = rows.map((row) => ({ value: String(row.id), label: plain(titleOf(row), 80) }));
  const known = id === null || options.some((option) => option.value === id);
  const hint = hintOf(field);
  return (
    <div>
      <Select
        label={bare === undefined ? label : undefined}
        {...(bare !== undefined && { 'aria-label': bare })}
        {...(hint !== '' && { description: hint })}
        error={errors.own ?? (typeof errors.inside.id === 'string' ? errors.inside.id : undefined)}
        withAsterisk={field.required}
        disabled={disabled}
        data={known ? options : [...options, { value: id, label: id }]}
        value={id}
        onChange={(chosen) => onChange(chosen === null ? null : { id: chosen })}
        placeholder={kind === undefined ? 'none' : `Search ${inSentence(kind.plural)}`}
        nothingFoundMessage={kind === undefined ? 'none' : `No such ${kind.singular}`}
        limit={200}
        searchable
        clearable={!field.required}
        clearButtonProps={{ 'aria-label': `Clear ${label}` }}
        rightSection={isPending && kind !== undefined ? <Loader size={14} /> : undefined}
      />
      {id !== null && kind !== undefined && (
        <Group mt={4}>
          <Text size="xs">
            <Link className="hf-link" to="/config/$kind/$id" params={{ kind: kind.slug, id }}>
              Open this {kind.singular}
            </Link>
          </Text>
        </Group>
      )}
    </div>
  );
}
