import { isRecord } from './record.ts';

/**
 * Places in a row or a plugin's config that a data plane, which loads no schemas, has to know: fields apart by dots, `*` for each
 * item of a list or value of a map, `@` for each key of one, `**` for every text within.
 */
export type FieldPath = string;

/** The texts in that place. */
export function textsAt(value: unknown, steps: readonly string[]): readonly string[] {
  const found: string[] = [];
  collect(value, steps, 0, found);
  return found;
}

function collect(value: unknown, steps: readonly string[], at: number, found: string[]): void {
  const step = steps[at];
  if (step === undefined) {
    if (typeof value === 'string') found.push(value);
  } else if (step === '**' && typeof value === 'string') {
    found.push(value);
  } else if (step === '*' || step === '**') {
    const items = Array.isArray(value) || isRecord(value) ? Object.values(value) : [];
    for (const item of items) collect(item, steps, step === '**' ? at : at + 1, found);
  } else if (isRecord(value)) {
    if (step === '@') for (const name of Object.keys(value)) found.push(name);
    else if (Object.hasOwn(value, step)) collect(value[step], steps, at + 1, found);
  }
}

/** The value with the texts in that place replaced; what has none of them is the same object. Keys stay as they are. */
export function replaceTexts(
  value: unknown,
  steps: readonly string[],
  replace: (text: string) => string,
  at = 0,
): unknown {
  const step = steps[at];
  if (step === undefined) return typeof value === 'string' ? replace(value) : value;
  if (step === '**' && typeof value === 'string') return replace(value);
  const each = step === '*' || step === '**';
  const inner = (item: unknown): unknown => replaceTexts(item, steps, replace, step === '**' ? at : at + 1);
  if (each && Array.isArray(value)) return value.map(inner);
  if (!isRecord(value)) return value;
  if (each) return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, inner(item)]));
  return Object.hasOwn(value, step) ? { ...value, [step]: inner(value[step]) } : value;
}
