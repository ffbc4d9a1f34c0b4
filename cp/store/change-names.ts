import { identifier, type Session } from './database.ts';
import type { Tables } from './table.ts';

/** Fields that people know a row by and that hold no secret, the first that a row's entity has. The name of a vault is that of its kind. */
const NAMING = ['prefix', 'name', 'username', 'target', 'group'];

/** What rows are called that are there still, by entity and id as `routes 0b5e…`. */
export async function namesOf(
  session: Session,
  tables: Tables,
  rows: readonly { readonly entity: string; readonly id: string }[],
): Promise<ReadonlyMap<string, string>> {
  const parts: string[] = [];
  const ids: string[][] = [];
  for (const [entity, changed] of Map.groupBy(rows, (row) => row.entity)) {
    const table = tables.get(entity);
    const naming = NAMING.find((field) => table?.columns.some((column) => column.field === field));
    const column = table?.columns.find(({ field }) => field === naming)?.name;
    if (table === undefined || column === undefined) continue;
    ids.push([...new Set(changed.map(({ id }) => id))]);
    parts.push(
      `SELECT '${entity}' AS entity, ${identifier(table.key)}::text AS id, ${identifier(column)} AS name
       FROM ${identifier(table.name)} WHERE ${identifier(table.key)}::text = ANY ($${ids.length}::text[])`,
    );
  }
  if (parts.length === 0) return new Map();
  const found = await session.query(parts.join(' UNION ALL '), ids);
  return new Map(
    found.flatMap(({ entity, id, name }) => (typeof name === 'string' ? [[`${entity} ${id}`, name] as const] : [])),
  );
}
