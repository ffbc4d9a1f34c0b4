import { LIMITS } from '../../shared/bundle/format.ts';
import type { Row } from '../../shared/record.ts';
import { schemaViolation } from '../../shared/schema/errors.ts';
import type { Table } from './table.ts';

/** Bytes of a row as it travels to data planes: an object, which holds its table's name and its workspace besides. */
const MOST_BYTES = LIMITS.object - 1024;

/**
 * Throws a schema violation for a row that no bundle object can hold: once stored, it would keep every later change from all
 * data planes. `text`: the rows' JSON, which is about as long as what travels.
 */
export function refuseUntravelling(table: Table, rows: readonly Row[], text: string): void {
  if (!table.logged || table.schema.bundle === undefined) return;
  // A character takes three bytes at most.
  if (text.length * 3 <= MOST_BYTES) return;
  for (const row of rows) {
    const bytes = Buffer.byteLength(JSON.stringify(row));
    if (bytes <= MOST_BYTES) continue;
    throw schemaViolation({
      '@entity': [
        `row ${row[table.key]} of '${table.name}' has ${bytes} bytes as it travels to data planes, at most ${MOST_BYTES} are taken`,
      ],
    });
  }
}
