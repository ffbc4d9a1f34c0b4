import type { Row } from '../../shared/record.ts';
import { schemaViolation } from '../../shared/schema/errors.ts';
import type { SqlRow } from './database.ts';
import type { Table } from './table.ts';

/** A complete row as the JSON a statement takes: columns instead of fields. */
export function toRecord(table: Table, row: Row): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const column of table.columns) {
    const value = row[column.field] ?? null;
    if (value !== null && !storable(value)) {
      throw schemaViolation({
        [column.field]: 'must be valid UTF-8 text without null characters, and numbers within 64 bits',
      });
    }
    record[column.name] = column.field === column.name ? value : idOf(value);
  }
  return record;
}

/** A row as a statement returned it, in the schema's order, foreign keys as `{id}`. */
export function fromRecord(table: Table, answer: SqlRow): Row {
  const record = answer.row;
  if (typeof record !== 'object' || record === null)
    throw new TypeError(`a row of ${table.name} came back as ${record}`);
  const values = new Map<string, unknown>(Object.entries(record));
  const row: Row = {};
  for (const column of table.columns) {
    const value = values.get(column.name) ?? null;
    if (value === null && column.hiddenWhenNull) continue;
    row[column.field] = column.field === column.name || value === null ? value : { id: value };
  }
  if (table.expires) row.ttl = values.get('ttl') ?? null;
  return row;
}

/** The workspace of a row a statement returned for export. */
export function workspaceIdOf(answer: SqlRow): unknown {
  const record = answer.row;
  return typeof record === 'object' && record !== null && 'ws_id' in record ? record.ws_id : null;
}

/** The id of a foreign value, `{id}`. */
export function idOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'id' in value ? value.id : null;
}

/** PostgreSQL keeps neither U+0000 nor half surrogate pairs, and no integer beyond 64 bits. */
function storable(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
      return !value.includes('\0') && value.isWellFormed();
    case 'number':
      return Number.isFinite(value) && (!Number.isInteger(value) || Math.abs(value) < 2 ** 63);
    case 'object':
      if (value === null) return true;
      if (Array.isArray(value)) return value.every(storable);
      return Object.entries(value).every(([name, inner]) => storable(name) && storable(inner));
    default:
      return true;
  }
}
