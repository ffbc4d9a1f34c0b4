import { isRecord, type Row } from '../record.ts';
import { type Context, shapeFor } from './complete.ts';
import { put } from './record.ts';
import { type Shape, shapeOf } from './shape.ts';
import type { EntitySchema, Field } from './vocabulary.ts';

/** What goes into `keepGenerated`. */
interface Rows {
  /** What a row is written from: where it says nothing, values are made. */
  readonly input: Readonly<Row>;
  /** The row as it is stored, without aliases. */
  readonly stored: Readonly<Row>;
  /** The row that gets the stored values: the input itself, or a row completed from it. */
  readonly target: Readonly<Row>;
}

/**
 * `target` with everything that was made for the stored row (keys, secrets, the time of its creation) wherever `input`
 * leaves that to be made: what says nothing of a secret does not ask for another one. `id` and `updated_at` are left alone.
 */
export function keepGenerated(schema: EntitySchema, rows: Rows, context: Context): Row {
  return keepIn(shapeFor(schema, rows.stored, context), rows);
}

function keepIn(shape: Shape, { input, stored, target }: Rows): Row {
  const kept: Row = { ...target };
  for (const { name, field } of shape.slots) {
    const [given, value] = [input[name], stored[name]];
    if (value === undefined || value === null) continue;
    if (field.type === 'record' && !field.abstract && isRecord(value)) {
      if (given !== undefined && !isRecord(given)) continue;
      const before = isRecord(kept[name]) ? kept[name] : {};
      const after = keepIn(shapeOf(field), { input: given ?? {}, stored: value, target: before });
      if (Object.keys(after).length > 0) put(kept, name, after);
    } else if (isGenerated(name, field, given)) put(kept, name, value);
  }
  return kept;
}

/** As `fillRow` makes them. A default that is a secret is another one in each process. */
function isGenerated(name: string, field: Field, given: unknown): boolean {
  if (name === 'id' || name === 'updated_at') return false;
  if (field.auto) return given === undefined || (given === null && field.type !== 'string');
  return given === undefined && field.encrypted === true && field.default !== undefined;
}
