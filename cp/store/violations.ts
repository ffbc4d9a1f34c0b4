import type { Row } from '../../shared/record.ts';
import {
  foreignKeyViolation,
  foreignKeyViolationRestricted,
  invalidWorkspace,
  type KongError,
  primaryKeyViolation,
  schemaViolation,
  uniqueViolation,
} from '../../shared/schema/errors.ts';
import type { FieldErrors } from '../../shared/schema/vocabulary.ts';
import { asSqlError } from './database.ts';
import type { Table, Tables } from './table.ts';

const UNIQUE = '23505';
const FOREIGN_KEY = '23503';
const RESTRICT = '23001';
/** program_limit_exceeded: here, a text longer than an index takes. */
const TOO_LONG = '54000';
/** Bytes an index takes at least; more when they compress well. */
const INDEXABLE = 2_600;

/** What a refused write of `row` means in Kong's terms; undefined for everything that is not the caller's doing. */
export function refusedWrite(error: unknown, table: Table, row: Row, workspace: string): KongError | undefined {
  const refusal = asSqlError(error);
  if (refusal?.code === UNIQUE) {
    if (refusal.constraint === `${table.name}_pkey`) return primaryKeyViolation({ [table.key]: row[table.key] });
    const unique = table.uniques.find(({ constraint }) => constraint === refusal.constraint);
    if (unique === undefined) return undefined;
    // What rows do not show is no part of their key to those who read of it.
    const shown = unique.fields.filter((field) => (row[field] ?? null) !== null || !isHiddenWhenNull(table, field));
    return uniqueViolation(Object.fromEntries(shown.map((field) => [field, row[field] ?? null])));
  }
  if (refusal?.code === FOREIGN_KEY) {
    if (refusal.constraint === `${table.name}_workspace`) return invalidWorkspace(workspace);
    const reference = table.references.find(({ constraint }) => constraint === refusal.constraint);
    if (reference === undefined) return undefined;
    const value = row[reference.field];
    return foreignKeyViolation(reference.field, isKey(value) ? value : { id: value }, reference.to);
  }
  if (refusal?.code === TOO_LONG) {
    const isLong = (value: unknown) => typeof value === 'string' && Buffer.byteLength(value) > INDEXABLE;
    const why = `is too long to be found by (${INDEXABLE} bytes always fit)`;
    const errors: FieldErrors = {};
    for (const field of table.uniques.flatMap(({ fields }) => fields)) if (isLong(row[field])) errors[field] = why;
    const { tags } = row;
    if (Array.isArray(tags) && tags.some(isLong)) {
      errors.tags = tags.slice(0, tags.findLastIndex(isLong) + 1).map((tag) => (isLong(tag) ? why : null));
    }
    return Object.keys(errors).length === 0 ? undefined : schemaViolation(errors);
  }
  return undefined;
}

const isHiddenWhenNull = ({ columns }: Table, field: string): boolean =>
  columns.some((column) => column.field === field && column.hiddenWhenNull);

/** What a refused delete means: rows of another table still refer to it. */
export function refusedDelete(error: unknown, table: Table, tables: Tables): KongError | undefined {
  const refusal = asSqlError(error);
  if (refusal?.code !== FOREIGN_KEY && refusal?.code !== RESTRICT) return undefined;
  for (const child of tables.values()) {
    const refers = child.references.some(({ constraint }) => constraint === refusal.constraint);
    if (refers || refusal.constraint === `${child.name}_workspace`) {
      return foreignKeyViolationRestricted(table.name, child.name);
    }
  }
  return undefined;
}

function isKey(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
