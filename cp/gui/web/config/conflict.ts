import type { Row } from '../../../../shared/record.ts';
import { type FormField, same } from './schema.ts';

/** A field that somebody else has changed since a form was opened. */
export interface ForeignChange {
  readonly field: string;
  readonly before: unknown;
  readonly theirs: unknown;
  readonly mine: unknown;
  /** Both have changed it, to other values. */
  readonly contested: boolean;
}

/** What was changed in a row meanwhile, by others than who has the form. */
export function foreignChanges(
  fields: readonly FormField[],
  opened: Readonly<Row>,
  stored: Readonly<Row>,
  mine: Readonly<Row>,
): readonly ForeignChange[] {
  return fields.flatMap(({ name: field }) => {
    const [before, theirs, own] = [opened[field], stored[field], mine[field]];
    if (same(before, theirs) || same(theirs, own)) return [];
    return [{ field, before, theirs, mine: own, contested: !same(before, own) }];
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
    fields.map(({ name }) => [name, same(opened[name], mine[name]) ? stored[name] : mine[name]]),
  );
}
