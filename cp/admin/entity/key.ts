import * as errors from '../../../shared/schema/errors.ts';
import { shapeOf } from '../../../shared/schema/shape.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import { isUuid } from '../../../shared/uuid.ts';
import type { RowKey } from '../../store/store.ts';

/**
 * How a path names a row: by id when it looks like one, else by the entity's endpoint key. Throws Kong's code 1 when
 * the entity has no endpoint key, and code 10 for a text that no row can have there.
 */
export function rowKey(schema: EntitySchema, text: string): RowKey {
  if (isUuid(text)) return { id: text.toLowerCase() };
  if (schema.endpoint_key === undefined) throw errors.invalidPrimaryKey({ id: 'expected a valid UUID' });
  const error = shapeOf(schema).byName.get(schema.endpoint_key)?.rule(text);
  if (typeof error === 'string') throw errors.invalidUnique(schema.endpoint_key, error);
  return { field: schema.endpoint_key, value: text };
}
