import { put } from './record.ts';
import { shapeOf } from './shape.ts';
import type { EntitySchema, FieldErrors } from './vocabulary.ts';

/**
 * What is wrong of a parent in a reference that holds more than its key: `{naem: 'x'}` has an unknown field, which
 * says more than that a key is missing. Undefined when all that is there could be the parent's.
 */
export function referenceErrors(
  parent: EntitySchema,
  reference: Readonly<Record<string, unknown>>,
): FieldErrors | undefined {
  const { byName } = shapeOf(parent);
  const errors: FieldErrors = {};
  for (const [key, value] of Object.entries(reference)) {
    const slot = byName.get(key);
    const error = slot === undefined ? 'unknown field' : slot.rule(value);
    if (error !== undefined) put(errors, key, error);
  }
  return Object.keys(errors).length > 0 ? errors : undefined;
}
