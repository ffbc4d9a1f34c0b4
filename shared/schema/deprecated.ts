import { isRecord, type Row } from '../record.ts';
import { equal } from './record.ts';
import { type Shape, shapeOf } from './shape.ts';
import type { Deprecation } from './vocabulary.ts';

/**
 * What the log is told of the fields of former versions that a row has: those whose value is not what was their default, and
 * aliases that `input` spells out.
 */
export function deprecationNotices(
  subject: string,
  shape: Shape,
  row: Readonly<Row>,
  input: Readonly<Row>,
): readonly string[] {
  return noticesIn(shape, row, input, '').map(({ own, text }) => (own ? text : `${subject}: ${text}`));
}

interface Notice {
  /** In the words of the schema itself. */
  readonly own: boolean;
  readonly text: string;
}

function noticesIn(shape: Shape, row: Readonly<Row>, input: Readonly<Row>, path: string): readonly Notice[] {
  const notices: Notice[] = [];
  for (const { name, field } of shape.slots) {
    const value = row[name];
    const { deprecation } = field;
    if (deprecation !== undefined && isInUse(value, deprecation)) notices.push(notice(path, name, deprecation));
    if (field.type === 'record' && isRecord(value) && !field.abstract) {
      const given = input[name];
      notices.push(...noticesIn(shapeOf(field), value, isRecord(given) ? given : {}, `${path}${name}.`));
    }
  }
  for (const { name, field } of shape.shorthands) {
    const { deprecation } = field;
    if (deprecation !== undefined && isInUse(input[name], deprecation)) notices.push(notice(path, name, deprecation));
  }
  return notices;
}

function isInUse(value: unknown, { old_default }: Deprecation): boolean {
  return value !== undefined && value !== null && !(old_default !== undefined && equal(value, old_default));
}

function notice(path: string, name: string, { message, instead, replaced_with, inert }: Deprecation): Notice {
  if (message !== undefined) return { own: true, text: message };
  const now = instead ?? replaced_with?.[0]?.path;
  const advice = now === undefined ? '' : `, please use ${path}${now.join('.')} instead`;
  return { own: false, text: `${path}${name} ${inert === true ? 'no longer works' : 'is deprecated'}${advice}` };
}
