import type { Row } from '../../shared/record.ts';
import { foreignKeysUnresolved, type UnresolvedReference } from '../../shared/schema/errors.ts';
import type { Catalog } from './catalog.ts';
import type { Session } from './database.ts';
import { fromRecord } from './row-json.ts';
import type { Table } from './table.ts';

/**
 * Replaces references by a parent's unique field (`service: {name: "a"}`) with its id. Anything else is left to
 * validation. Throws code 13, naming every reference that leads nowhere.
 */
export async function resolveReferences(
  input: Row,
  table: Table,
  catalog: Catalog,
  session: Session,
  workspace: string,
): Promise<Row> {
  const resolved: Row = {};
  const unresolved: UnresolvedReference[] = [];
  for (const { field, to } of table.references) {
    const parent = catalog.tables.get(to);
    if (parent === undefined) continue;
    const named = uniqueNamed(input[field], parent);
    if (named === undefined) continue;
    const select = catalog.statements(parent).selectBy(named.field);
    const [found] = await session.query(select, parent.workspaced ? [named.value, workspace] : [named.value]);
    if (found === undefined) unresolved.push({ field, name: named.field, value: named.value, parent: to });
    else resolved[field] = { id: fromRecord(parent, found)[parent.key] };
  }
  if (unresolved.length > 0) throw foreignKeysUnresolved(unresolved);
  return Object.keys(resolved).length === 0 ? input : { ...input, ...resolved };
}

/** The unique field a reference uses in place of the id. */
function uniqueNamed(value: unknown, parent: Table): { field: string; value: string } | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || parent.key in value) return undefined;
  const given = new Map<string, unknown>(Object.entries(value));
  for (const { fields, columns } of parent.uniques) {
    const [field] = fields;
    const candidate = field === undefined ? undefined : given.get(field);
    if (field === undefined || fields.length > 1 || !columns.includes(field)) continue;
    if (typeof candidate === 'string' && !candidate.includes('\0')) return { field, value: candidate };
  }
  return undefined;
}
