import { isRecord, type Row } from '../../../../shared/record.ts';
import { type FormField, same } from './schema.ts';

/** A field that somebody else has changed since a form was opened. */
export interface ForeignChange {
  /** Its path: `config.minute`. */
  readonly field: string;
  readonly before: unknown;
  readonly theirs: unknown;
  readonly mine: unknown;
  /** Both have changed it, to other values. */
  readonly contested: boolean;
}

/** What was changed in a row meanwhile, by others than who has the form. Records are gone through field by field. */
export function foreignChanges(
  fields: readonly FormField[],
  opened: Readonly<Row>,
  stored: Readonly<Row>,
  mine: Readonly<Row>,
): readonly ForeignChange[] {
  return fields.flatMap((field) => {
    const { name } = field;
    const [before, theirs, own] = [opened[name], stored[name], mine[name]];
    if (same(before, theirs) || same(theirs, own)) return [];
    if (field.widget === 'record' && isRecord(before) && isRecord(theirs) && isRecord(own))
      return foreignChanges(field.fields, before, theirs, own).map((one) => ({
        ...one,
        field: `${name}.${one.field}`,
      }));
    return [{ field: name, before, theirs, mine: own, contested: !same(before, own) }];
  });
}

/** A row with the changes of both: what only they changed is theirs, what I changed is mine. */
export function merged(
  fields: readonly FormField[],
  opened: Readonly<Row>,
  stored: Readonly<Row>,
  mine: Readonly<Row>,
): Row {
  return Object.fromEntries(
    fields.map((field) => {
      const { name } = field;
      const [before, theirs, own] = [opened[name], stored[name], mine[name]];
      if (same(before, own)) return [name, theirs];
      const inside = field.widget === 'record' && isRecord(before) && isRecord(theirs) && isRecord(own);
      return [name, inside ? merged(field.fields, before, theirs, own) : own];
    }),
  );
}
