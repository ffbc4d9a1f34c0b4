import { entities } from '../entities/registry.ts';
import type { EntitySchema } from '../schema/vocabulary.ts';
import { nestedCollections } from './items.ts';
import { writeYaml } from './yaml.ts';

/** The entities that are in exports, in the order in which they are loaded again. */
export const exportedEntities: readonly EntitySchema[] = entities.filter(
  ({ name, db_export: exported }) => exported !== false && name !== 'workspaces',
);

/** Stored rows, by entity name; read in the order they come. */
type RowsOf = (entity: string) => AsyncIterable<Readonly<Record<string, unknown>>>;

/**
 * Writes a document that gives the same rows when it is loaded again: every field, references as ids, parents before
 * children, `_transform: false` because stored values are already transformed. `ttl` is the time at which a row vanishes, as
 * in Kong's exports, which is what the rows are to have. Yields text piece by piece, so that an export of any size needs little
 * memory.
 */
export async function* exportYaml(rowsOf: RowsOf): AsyncIterable<string> {
  yield '_format_version: "3.0"\n_transform: false\n';
  for (const schema of exportedEntities) {
    let any = false;
    for await (const row of rowsOf(schema.name)) {
      if (!any) yield `${schema.name}:\n`;
      any = true;
      yield writeYaml([collapseReferences(schema, row)]);
    }
  }
}

/** References become the id they hold; what stands in a collection of its own is left out. */
function collapseReferences(schema: EntitySchema, row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const collections = nestedCollections(schema.name);
  for (const [field, value] of Object.entries(row)) {
    if (collections.has(field)) continue;
    const reference = schema.fields[field]?.type === 'foreign' && typeof value === 'object' && value !== null;
    result[field] = reference && 'id' in value ? value.id : value;
  }
  return result;
}
