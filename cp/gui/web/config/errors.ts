import { isRecord, type Row, recordOrEmpty } from '../../../../shared/record.ts';
import { same } from './schema.ts';

/** What the Admin API says of a field, and of what is in it. */
export interface FieldErrors {
  /** Of the field itself, or of the row as a whole. */
  readonly own: string | null;
  /** By name, or by position in a list. */
  readonly inside: Readonly<Row>;
}

export const NO_ERRORS: FieldErrors = { own: null, inside: {} };

/** What is wrong with whole rows names the fields it is about, in quotes: there it is told as well. */
const NAMED = /'([\w-]+(?:\.[\w-]+)*)'/g;

/** `fields` of a refusal as errors of the form. */
export function errorsOf(fields: Readonly<Row>): FieldErrors {
  const inside: Row = structuredClone({ ...fields });
  const whole = wholeRow(inside);
  delete inside['@entity'];
  for (const text of whole) {
    for (const [, path = ''] of text.matchAll(NAMED)) tell(inside, path.split('.'), text);
  }
  return { own: whole.length === 0 ? null : whole.join('; '), inside };
}

function wholeRow(fields: Readonly<Row>): readonly string[] {
  const told = fields['@entity'];
  return Array.isArray(told) ? told.filter((text) => typeof text === 'string') : typeof told === 'string' ? [told] : [];
}

/** Puts a text at a path where nothing is told yet. */
function tell(fields: Row, [name = '', ...rest]: readonly string[], text: string): void {
  const there = fields[name];
  if (rest.length === 0) {
    if (there === undefined) fields[name] = text;
    return;
  }
  if (there !== undefined && !isRecord(there)) return;
  const next: Row = { ...recordOrEmpty(there) };
  fields[name] = next;
  tell(next, rest, text);
}

/** What is left of errors while what they are about is edited: those of values that are still as they were when they were sent. */
export function standing(errors: FieldErrors, sent: unknown, now: unknown): FieldErrors {
  return { own: errors.own, inside: recordOrEmpty(unmended(errors.inside, sent, now)) };
}

function unmended(told: unknown, sent: unknown, now: unknown): unknown {
  if (!isRecord(told) || !isRecord(sent) || !isRecord(now)) return same(sent, now) ? told : undefined;
  const left = Object.entries(told).flatMap(([key, one]) => {
    const still = key === '@entity' ? (same(sent, now) ? one : undefined) : unmended(one, sent[key], now[key]);
    return still === undefined ? [] : [[key, still] as const];
  });
  return left.length === 0 ? undefined : Object.fromEntries(left);
}

/** Errors of what is at a name, or a position, of a field. */
export function errorsAt(errors: FieldErrors, key: string | number): FieldErrors {
  const told = errors.inside[String(key)];
  if (typeof told === 'string') return { own: told, inside: {} };
  if (Array.isArray(told)) {
    const texts = told.filter((one) => typeof one === 'string');
    const own = texts.length === 0 ? null : texts.length === told.length ? [...new Set(texts)].join('; ') : null;
    return {
      own,
      inside: Object.fromEntries(told.map((one, i) => [String(i), one]).filter(([, one]) => one !== null)),
    };
  }
  if (!isRecord(told)) return NO_ERRORS;
  const whole = wholeRow(told);
  return { own: whole.length === 0 ? null : whole.join('; '), inside: told };
}
