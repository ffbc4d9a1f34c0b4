import { put } from './record.ts';
import type { Shape } from './shape.ts';
import type { FieldErrors } from './vocabulary.ts';

/**
 * Validates a filled row and adds what is wrong to `errors`: each key by its field's rule, then fields that are
 * required and absent, then the entity checks. Returns a promise only when an entity check needs one.
 * `updating`: messages are worded as Kong words them on PATCH.
 */
export function validateRow(
  shape: Shape,
  row: Readonly<Record<string, unknown>>,
  errors: FieldErrors,
  updating: boolean,
): Promise<void> | undefined {
  for (const key of Object.keys(row)) {
    const value = row[key];
    // The control plane writes updated_at itself, so what stands there is nobody's mistake.
    if (value === undefined || key === 'updated_at') continue;
    const slot = shape.byName.get(key);
    const error = slot ? slot.rule(value) : 'unknown field';
    if (error !== undefined) put(errors, key, error);
  }
  for (const { name, field } of shape.slots) {
    if (field.required && row[name] === undefined) errors[name] = 'required field missing';
  }
  return runChecks(shape, row, errors, updating, 0);
}

function runChecks(
  shape: Shape,
  row: Readonly<Record<string, unknown>>,
  errors: FieldErrors,
  updating: boolean,
  from: number,
): Promise<void> | undefined {
  for (let i = from; i < shape.checks.length; i++) {
    const pending = shape.checks[i]?.(row, errors, updating);
    if (pending) return pending.then(() => runChecks(shape, row, errors, updating, i + 1));
  }
  return undefined;
}
