import { invalidPrimaryKey, type KeyFields } from '../../shared/schema/errors.ts';
import { isUuid } from '../../shared/uuid.ts';
import { keyColumnType } from './statements.ts';
import type { RowKey } from './store.ts';
import type { Table } from './table.ts';

/** The value of a primary key, as PostgreSQL would print it. Throws code 1 when it cannot be one. */
export function primaryKey(table: Table, id: unknown): string {
  if (keyColumnType(table) !== 'uuid') return String(id);
  if (!isUuid(id)) throw invalidPrimaryKey({ [table.key]: 'expected a valid UUID' });
  return id.toLowerCase();
}

/** The key as errors name it. */
export function keyFields(table: Table, key: RowKey): KeyFields {
  return 'id' in key ? { [table.key]: key.id } : { [key.field]: key.value };
}
