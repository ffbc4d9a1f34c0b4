import { isRecord, mustBeRecord } from '../../shared/record.ts';

/** Prints what is different, entity by entity and field by field, as the Admin API tells it. */
export function printChanges(changes: unknown): void {
  const rows = Array.isArray(changes) ? changes.filter(isRecord) : [];
  for (const { entity, id, name, operation, fields } of rows) {
    print(`${String(operation)}  ${String(entity)}  ${typeof name === 'string' ? `${name}  ` : ''}${String(id)}`);
    for (const [field, value] of Object.entries(isRecord(fields) ? fields : {})) {
      const { from, to } = mustBeRecord(value, field);
      print(`  ${field}: ${textOf(from)} -> ${textOf(to)}`);
    }
  }
  if (rows.length === 0) print('nothing is different');
}

export const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
