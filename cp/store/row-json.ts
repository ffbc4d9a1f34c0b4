import type { Row } from '../../shared/record.ts';
import { schemaViolation } from '../../shared/schema/errors.ts';
import type { SqlRow } from './database.ts';
import type { Table } from './table.ts';

/** A complete row as the JSON a statement takes: columns instead of fields. */
export function toRecord(table: Table, row: Row): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const column of table.columns) {
    const value = row[column.field] ?? null;
    const problem = unstorable(value, 0);
    if (problem !== undefined) throw schemaViolation({ [column.field]: problem });
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

/** Levels below a field; bundles hold a few more in all. */
const MOST_LEVELS = 500;

const NO_TEXT = 'must be valid UTF-8 text without null characters, and numbers within 64 bits';

/** PostgreSQL keeps neither U+0000 nor half surrogate pairs, and no integer beyond 64 bits; no bundle takes what is nested deeper. */
function unstorable(value: unknown, depth: number): string | undefined {
  switch (typeof value) {
    case 'string':
      return value.includes('\0') || !value.isWellFormed() ? NO_TEXT : undefined;
    case 'number':
      return Number.isFinite(value) && (!Number.isInteger(value) || Math.abs(value) < 2 ** 63) ? undefined : NO_TEXT;
    case 'object':
      if (value === null) return undefined;
      if (depth > MOST_LEVELS) return `must not be nested more than ${MOST_LEVELS} levels deep`;
      for (const [name, inner] of Object.entries(value)) {
        const problem = unstorable(name, depth) ?? unstorable(inner, depth + 1);
        if (problem !== undefined) return problem;
      }
      return undefined;
    default:
      return undefined;
  }
}
