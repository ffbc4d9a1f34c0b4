import * as errors from '../../../shared/schema/errors.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import type { RowKey } from '../../store/store.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export const isUuid = (text: string): boolean => UUID.test(text);

/**
 * How a path names a row: by id when it looks like one, else by the entity's endpoint key. Throws Kong's code 1 when
 * the entity has no endpoint key.
 */
export function rowKey(schema: EntitySchema, text: string): RowKey {
  if (isUuid(text)) return { id: text.toLowerCase() };
  if (schema.endpoint_key === undefined) throw errors.invalidPrimaryKey({ id: 'expected a valid UUID' });
  return { field: schema.endpoint_key, value: text };
}
