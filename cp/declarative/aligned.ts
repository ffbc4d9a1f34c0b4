import type { DeclaredRow, ParsedConfig } from '../../shared/declarative/parse.ts';
import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import type { Catalog } from '../store/catalog.ts';
import { idOf } from '../store/row-json.ts';
import { planImport } from './plan.ts';

/**
 * A parsed config with the ids that its rows would have if it took the place of another one: a row to which the document gives none is the
 * one of the same name there, or of the same content where it has no name, as when it is imported.
 */
export async function alignedWith(before: ParsedConfig, config: ParsedConfig, catalog: Catalog): Promise<ParsedConfig> {
  const context = { ...config.context, verbatim: !config.meta._transform };
  const tables = [...catalog.tables.values()];
  const rowsBefore = (entity: string) =>
    [...(before.entities.get(entity)?.values() ?? [])].map(({ row }) => ({ ...row }));
  const { id, name } = DEFAULT_WORKSPACE;
  const workspace = { id, name, entity: (of: string) => ({ page: async () => ({ rows: rowsBefore(of) }) }) };
  const plans = await planImport({ workspace, config, tables, context, replace: false });
  const ids = new Map<string, string>();
  for (const { table, rows } of plans) {
    const declared = [...(config.entities.get(table.name)?.keys() ?? [])];
    for (const [place, row] of rows.entries()) ids.set(`${table.name} ${declared[place]}`, row.id);
  }
  const entities = new Map<string, ReadonlyMap<string, DeclaredRow>>();
  for (const [entity, declared] of config.entities) {
    const { references } = catalog.table(entity);
    const moved = [...declared].map(([own, row]): [string, DeclaredRow] => {
      const parents = references.flatMap(({ field, to: parent }) => {
        const id = ids.get(`${parent} ${String(idOf(row.row[field]))}`);
        return id === undefined ? [] : [[field, { id }] as const];
      });
      const at = ids.get(`${entity} ${own}`) ?? own;
      return [at, { ...row, row: { ...row.row, id: at, ...Object.fromEntries(parents) } }];
    });
    entities.set(entity, new Map(moved));
  }
  return { ...config, entities };
}
