import type { DeclaredRow } from '../../shared/declarative/parse.ts';
import type { Row } from '../../shared/record.ts';
import { idOf } from '../store/row-json.ts';
import type { Table, Unique } from '../store/table.ts';

/**
 * What a row is unique by, as texts to compare: one for each unique key of the table, the name it is addressed by first,
 * and null where the row has no value for it.
 */
export function uniqueKeys(table: Table, row: Readonly<Row>): (string | null)[] {
  return keys(table, row, () => true);
}

/** The same of a declared row; a value that was made for it, since the document gives none, is no key. */
export function declaredKeys(table: Table, { row, input }: DeclaredRow): (string | null)[] {
  return keys(table, row, (field) => table.schema.fields[field]?.auto !== true || typeof input[field] === 'string');
}

function keys(table: Table, row: Readonly<Row>, counts: (field: string) => boolean): (string | null)[] {
  return byPrecedence(table).map(({ constraint, fields, nullsEqual, caseless }) => {
    const values = fields.map((field) => {
      const value = keyValue(table, field, row);
      return caseless && typeof value === 'string' ? value.toLowerCase() : value;
    });
    if ((!nullsEqual && values.includes(null)) || !fields.every(counts)) return null;
    return JSON.stringify([constraint, ...values]);
  });
}

function byPrecedence({ schema, uniques }: Table): Unique[] {
  const addressed = ({ fields }: Unique) => fields.length === 1 && fields[0] === schema.endpoint_key;
  return [...uniques].sort((a, b) => Number(addressed(b)) - Number(addressed(a)));
}

function keyValue({ schema }: Table, field: string, row: Readonly<Row>): unknown {
  return (schema.fields[field]?.type === 'foreign' ? idOf(row[field]) : row[field]) ?? null;
}
